"""`bot3 backup` of a home that trades, and `bot3 restore` of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bot3.wiring import open_platform
from tests.cli.commands import bot3, environment
from tests.seeded import tiny_settings

pytestmark = pytest.mark.slow  # processes on a seeded home

SPEED = "3000"


@contextmanager
def trading(home: Path) -> Iterator[None]:
    """Run the daemon on a fast market; it has made an entry when this begins."""
    with open_platform(tiny_settings(home, clock_speed=float(SPEED))) as platform:
        platform.start_clock()
    process = subprocess.Popen([sys.executable, "-m", "execution"], env=environment(home, BOT3_CLOCK_SPEED=SPEED), cwd=home.parent)
    try:
        deadline = time.monotonic() + 90
        while trades(home) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline, "the daemon made no trade"
            time.sleep(0.2)
        yield
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)


def logged(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def trades(home: Path) -> int:
    with open_platform(tiny_settings(home), read_only=True) as platform:
        stores = [platform.bot_store(name) for name in platform.bot_names]
        return sum(len(store.open_trades()) + store.count_closed(closed_since=None) for store in stores)


def test_backup_given_a_daemon_that_trades_then_is_restored_with_a_clean_doctor_and_traded_on(home: Path, tmp_path: Path) -> None:
    with trading(home):
        taken = bot3("backup", str(tmp_path / "backup"), "--json", home=home)
        held = trades(home)
    restored = tmp_path / "elsewhere" / "home"
    restored.parent.mkdir()

    put_back = bot3("restore", str(tmp_path / "backup"), "--json", home=restored)
    looked = bot3("doctor", "--json", home=restored)
    kept = trades(restored)  # before the daemon goes on: it may trade at once
    command = [sys.executable, "-m", "execution", "--once"]
    went_on = subprocess.run(command, env=environment(restored), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert (taken.code, put_back.code) == (0, 0)
    assert put_back.json()["report"] == taken.json()["report"]
    assert (looked.code, [f for f in looked.json()["findings"] if not f["is_good"]]) == (0, [])
    assert 3 <= kept <= held
    assert went_on.returncode == 0
    assert [line["mismatch"] for line in logged(went_on.stdout + went_on.stderr) if line["event"] == "bot_reconciled"] == [None] * 3
    with open_platform(tiny_settings(restored), read_only=True) as platform:
        anchor = platform.control.anchor()
        assert anchor is not None
        assert (anchor.is_running, anchor.market_at) == (False, datetime.fromisoformat(taken.json()["report"]["market_at"]))
        assert [platform.control.trading_state(name)[0] for name in platform.bot_names] == ["active"] * 3


def test_restore_given_a_seeded_home_then_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    bot3("backup", str(tmp_path / "backup"), home=home)

    ended = bot3("restore", str(tmp_path / "backup"), home=home)

    assert ended.code == 3
    assert "nothing was restored" in ended.said
