"""Losses and flags stop entries, survive restarts, and end as they should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at, wobble
from tests.markets import LIMITS, a_profile

CRASHES = (100.0, 100.1, 92.0, 95.0)
QUIET = (100.0, 100.1, 99.9, 100.0)
AFTER = ENTRY_AT + 4
NEXT_DAY = 288 + 2
# The stop takes about 6 % of a position as large as the equity.
BOLD = a_profile(stop_loss=-0.2, max_stake_ratio=1.0, target_volatility=0.12, leverage_cap=4.0)


def lost(open_floor: OpenFloor, **limits: float) -> Floor:
    wide = replace(LIMITS, daily_loss_reducing=-0.8, daily_loss_halted=-0.9, max_drawdown=-0.9)
    profile = replace(BOLD, limits=replace(wide, **limits))
    rows = [*wobble(ENTRY_AT), CRASHES, *wobble(300)]
    signals = ScriptedSignals(signal_at(ENTRY_AT), signal_at(AFTER), signal_at(NEXT_DAY), signal_at(NEXT_DAY + 1))
    floor = open_floor(rows, profiles=[profile], signals=signals)
    floor.run_candles(ENTRY_AT - 1, AFTER)
    return floor


def command(floor: Floor, name: str) -> None:
    floor.control.send_command(bot="BOT1", command=name, argument="", issued_by="test", at=floor.clock.wall_now())


def test_state_given_a_loss_within_the_limits_then_stays_active(open_floor: OpenFloor) -> None:
    floor = lost(open_floor)

    assert -0.08 < (floor.closed_trade().close_profit_abs or 0.0) / 10_000.0 < -0.04
    assert floor.state() == ("active", "")
    assert floor.open_trade().is_open


def test_state_given_the_daily_loss_then_reduces_until_the_next_day_whatever_restarts(open_floor: OpenFloor) -> None:
    floor = lost(open_floor, daily_loss_reducing=-0.03)
    assert (floor.state()[0], floor.holds()) == ("reducing", ["reducing"])
    assert "daily_loss" in floor.state()[1]

    floor.reopen()
    floor.run_candles(AFTER + 1, AFTER + 1)
    assert floor.state()[0] == "reducing"

    floor.run_candles(NEXT_DAY, NEXT_DAY)
    assert floor.state() == ("active", "")
    assert floor.open_trade().is_open


def test_state_given_a_daily_loss_that_was_made_good_then_stays_reducing_whatever_restarts(open_floor: OpenFloor) -> None:
    wide = replace(LIMITS, daily_loss_reducing=-0.03, daily_loss_halted=-0.9, max_drawdown=-0.9)
    rows = [*wobble(ENTRY_AT), QUIET, (100.0, 100.1, 95.9, 96.0), (96.0, 96.1, 95.9, 96.0), *wobble(20)]
    signals = ScriptedSignals(signal_at(ENTRY_AT), signal_at(AFTER))
    floor = open_floor(rows, profiles=[replace(BOLD, limits=wide)], signals=signals)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 3)
    assert floor.open_trade().is_open

    floor.reopen()
    floor.run_candles(AFTER, AFTER)

    assert (floor.runner().state.equity_abs or 0.0) > 9_900.0
    assert floor.holds() == ["reducing"]


@pytest.mark.parametrize("limit", ["daily_loss_halted", "max_drawdown"])
def test_state_given_a_loss_that_halts_then_is_latched_until_a_person_resumes(open_floor: OpenFloor, limit: str) -> None:
    also = {"daily_loss_reducing": -0.03} if limit == "daily_loss_halted" else {}
    floor = lost(open_floor, **{limit: -0.04}, **also)
    assert floor.state()[0] == "halted"
    assert "passed the limit -4.00%" in floor.state()[1]

    floor.reopen()
    floor.run_candles(NEXT_DAY, NEXT_DAY)
    assert (floor.state()[0], floor.holds()) == ("halted", ["halted", "halted"])

    command(floor, "resume")
    floor.run_candles(NEXT_DAY + 1, NEXT_DAY + 1)
    assert floor.state() == ("active", "")
    assert floor.open_trade().is_open


def test_state_given_a_restart_then_losses_are_counted_from_the_same_marks(open_floor: OpenFloor) -> None:
    floor = open_floor(signals=ScriptedSignals())
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    floor.clock.move(1.0)
    floor.daemon.tick()
    marks = floor.runner().state.marks

    floor.reopen()

    assert marks is not None
    assert floor.runner().state.marks == marks


def test_state_given_the_halt_file_then_opens_nothing_while_it_is_there(open_floor: OpenFloor) -> None:
    floor = open_floor(signals=ScriptedSignals(signal_at(ENTRY_AT), signal_at(ENTRY_AT + 1)))
    (floor.home / "HALT").touch()

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    assert floor.holds() == ["halted"]
    assert "remove it to go on" in floor.state()[1]

    (floor.home / "HALT").unlink()
    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 1)
    assert floor.open_trade().is_open


def test_state_given_a_control_store_that_cannot_be_read_then_opens_nothing_and_still_protects(open_floor: OpenFloor) -> None:
    floor = open_floor([*wobble(ENTRY_AT), CRASHES, *wobble(20)], signals=ScriptedSignals(signal_at(ENTRY_AT), signal_at(ENTRY_AT + 3)))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    floor.control.close()
    (floor.home / "control.sqlite").unlink()
    (floor.home / "control.sqlite").mkdir()

    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 3)

    assert floor.closed_trade().exit_reason == "stop_loss"
    assert floor.state()[0] == "reducing"
    assert floor.stores["BOT1"].open_trades() == []
