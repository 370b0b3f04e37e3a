"""An idle tick is timed on a home whose fleet was read, and only where it is idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.idle_tick import idle_ms
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreError
from bot3.trading.trades import RunMode
from tests.servers.freqtrade_db import FreqtradeDb, a_row


def test_idle_ms_given_a_bot_then_a_tick_takes_longer_than_the_look_in_it(tmp_path: Path) -> None:
    FreqtradeDb(sqlite_url(tmp_path / "grid.sqlite")).add(a_row(1), a_row(2))

    took = idle_ms(str(tmp_path / "grid.sqlite"), tmp_path / "idle", bot="GRID7", run_mode=RunMode.LIVE)

    assert took["idle_tick_ms"] > took["idle_look_ms"] > 0.0


def test_idle_ms_given_a_database_that_is_away_then_tells_no_figure(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="gone"):
        idle_ms(str(tmp_path / "gone.sqlite"), tmp_path / "idle", bot="GRID7", run_mode=RunMode.LIVE)
