"""A control store that was deleted: the next process that writes fills it again from the bots' stores and flag files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.kill_daemons import make_home
from bot3.adapters.clocks.market import MarketClock, resume_clock
from bot3.errors import StoreBusyError, StoreError
from bot3.ports.control import ClockSource
from bot3.settings import Settings
from bot3.trading.risk import RiskLatch, TradingState
from bot3.usecases.fleet.bot_state import CANDLE_DONE
from bot3.wiring import SIMULATED_START, open_platform
from tests.clocks import MovableClock

DECIDED_AT = SIMULATED_START + timedelta(days=50)
LATCH = RiskLatch(state=TradingState.HALTED, reason="drawdown exceeds the limit")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a home whose BOT1 is halted by its own store, BOT2 by its flag file, and whose control store is gone."""
    settings = make_home(tmp_path / "home")
    with open_platform(settings) as platform:
        platform.bot_store("BOT1").save_latch(LATCH)
        platform.latch_file("BOT2").save_latch(LATCH)
        platform.bot_store("BOT2").set_bookmark(CANDLE_DONE, DECIDED_AT)
    delete_control(settings)
    return settings


def delete_control(settings: Settings) -> None:
    for file in settings.home.glob("control.sqlite*"):
        file.unlink()


def test_control_given_it_was_deleted_then_has_every_latch_and_the_market_stands_where_a_bot_decided_last(settings: Settings) -> None:
    with open_platform(settings) as platform:
        anchor = platform.control.anchor()
        states = {name: platform.control.trading_state(name) for name in platform.bot_names}

    assert states == {
        "BOT1": (TradingState.HALTED, LATCH.reason),
        "BOT2": (TradingState.HALTED, LATCH.reason),
        "BOT3": (TradingState.ACTIVE, ""),
    }
    assert anchor is not None
    assert (anchor.source, anchor.market_at, anchor.is_running) == (ClockSource.SIMULATED, DECIDED_AT, False)
    assert anchor.speed == settings.clock_speed


def test_control_given_it_was_damaged_then_is_set_aside_and_filled_again(settings: Settings) -> None:
    (settings.home / "control.sqlite").write_bytes(b"this is no database at all" * 1_000)

    with open_platform(settings) as platform:
        assert platform.control.trading_state("BOT1")[0] is TradingState.HALTED

    assert (settings.home / "control.sqlite.damaged-1").exists()


def test_control_given_it_was_deleted_and_is_only_read_then_names_what_makes_it_anew(settings: Settings) -> None:
    with open_platform(settings, read_only=True) as platform, pytest.raises(StoreError, match="run `bot3 init`"):
        platform.control.anchor()


def test_control_given_it_is_deleted_while_read_then_names_who_makes_it_anew_and_reads_the_new_one(settings: Settings) -> None:
    with open_platform(settings) as writer, open_platform(settings, read_only=True) as reader:
        writer.control.anchor()
        before = reader.control.anchor()
        delete_control(settings)

        with pytest.raises(StoreBusyError, match=r"execution daemon.*bot3 init"):
            reader.control.anchor()
        writer.control.set_trading_state("BOT3", TradingState.REDUCING, reason="paused", at=DECIDED_AT)

        assert before is not None
        assert reader.control.trading_state("BOT3") == (TradingState.REDUCING, "paused")


def test_clock_given_the_control_store_is_deleted_while_it_runs_then_goes_on_and_writes_its_anchor_again(settings: Settings) -> None:
    wall = MovableClock()
    with open_platform(settings) as platform:
        resume_clock(platform.control, speed=60.0, wall=wall)
        clock = MarketClock(platform.control, wall=wall)
        before, anchor = clock.now(), platform.control.anchor()
        delete_control(settings)

        wall.move(10.0)

        assert clock.now() - before == timedelta(seconds=600)
        assert platform.control.anchor() == anchor


def test_store_of_a_bot_given_its_file_is_deleted_while_open_then_writes_nothing_that_nobody_reads(settings: Settings) -> None:
    with open_platform(settings) as platform:
        store = platform.bot_store("BOT1")
        (settings.home / "bots" / "BOT1.sqlite").unlink()

        with pytest.raises(StoreError, match=r"BOT1\.sqlite was deleted or replaced while it was open"):
            store.set_bookmark(CANDLE_DONE, DECIDED_AT)

    assert not (settings.home / "bots" / "BOT1.sqlite").exists()
