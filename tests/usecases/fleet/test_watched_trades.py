"""Open trades of fleet databases: read again at a commit, never shown stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import DataError, StoreBusyError
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import AWAY
from bot3.usecases.fleet.watched_trades import REREAD_S, WatchedTrades
from bot3.wiring.fleet import open_fleet, read_fleet
from tests.journals import a_closed_trade
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_open_row

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATER = timedelta(seconds=REREAD_S + 1.0)


@pytest.fixture
def source(tmp_path: Path) -> FreqtradeDb:
    source = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    source.add(a_row(1), an_open_row(2))
    return source


@pytest.fixture
def watched(source: FreqtradeDb, tmp_path: Path) -> WatchedTrades:
    del source
    (tmp_path / "fleet.toml").write_text('[[bots]]\nname = "GRID-7"\nurl = "grid7.sqlite"\nrun_mode = "live"\n', encoding="utf-8")
    (reader,) = open_fleet(read_fleet(tmp_path / "fleet.toml"))
    return WatchedTrades(reader)


def test_read_given_a_database_then_returns_open_trades_and_the_count_of_closed_ones(watched: WatchedTrades) -> None:
    found = watched.read(wall_now=NOON)

    assert [(trade.trade_id, trade.run_mode, trade.is_open) for trade in found.open_trades] == [(2, RunMode.LIVE, True)]
    assert found.closed == 1


def test_read_given_a_commit_then_returns_what_is_new_after_a_moment(watched: WatchedTrades, source: FreqtradeDb) -> None:
    watched.read(wall_now=NOON)
    source.add(an_open_row(3))

    assert len(watched.read(wall_now=NOON + timedelta(seconds=1)).open_trades) == 1
    assert len(watched.read(wall_now=NOON + LATER).open_trades) == 2


class Vanishing:
    """A database that is read once, and then unavailable."""

    bot, run_mode, store_id = "GRID-7", RunMode.LIVE, "s1"

    def __init__(self) -> None:
        self.is_there = True

    def change_token(self) -> str:
        return "t1" if self.is_there else AWAY

    def open_trades(self) -> list[Trade]:
        if not self.is_there:
            raise StoreBusyError("the server does not answer")
        return [a_closed_trade(7, is_open=True)]

    def count_closed(self, *, closed_since: datetime | None) -> int:
        assert closed_since is None
        return len(self.open_trades())


def test_read_given_a_database_that_is_unavailable_then_raises_and_returns_nothing_old() -> None:
    source = Vanishing()
    watched = WatchedTrades(source)
    watched.read(wall_now=NOON)

    source.is_there = False
    for number in (1, 2):
        with pytest.raises(DataError, match="does not answer"):
            watched.read(wall_now=NOON + number * LATER)
    source.is_there = True

    assert [trade.trade_id for trade in watched.read(wall_now=NOON + 3 * LATER).open_trades] == [7]
