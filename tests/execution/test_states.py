"""Losses and flags stop entries, survive restarts, and end as they should."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from bot3.adapters.files.latch import FileLatch
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.trading.risk import TradingState
from bot3.usecases.fleet.bot_state import state_in_force
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


def shown(floor: Floor) -> tuple[str, str]:
    """Return what a page or a command shows once the daemon has beaten again."""
    floor.tick_after(1.0)
    found = state_in_force(floor.control, "BOT1", wall_now=floor.clock.wall_now())
    return found.state.value, found.reason


def test_state_given_a_loss_within_the_limits_then_stays_active(open_floor: OpenFloor) -> None:
    floor = lost(open_floor)

    assert -0.08 < (floor.closed_trade().close_profit_abs or 0.0) / 10_000.0 < -0.04
    assert floor.state() == ("active", "")
    assert floor.open_trade().is_open


def test_state_given_the_daily_loss_then_reduces_until_the_next_day_whatever_restarts(open_floor: OpenFloor) -> None:
    floor = lost(open_floor, daily_loss_reducing=-0.03)
    assert (floor.state()[0], floor.holds()) == ("reducing", ["reducing"])
    assert "daily_loss" in floor.state()[1]
    assert shown(floor) == floor.state()

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
    assert "exceeds the limit -4.00%" in floor.state()[1]

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
    assert "delete it to resume" in floor.state()[1]
    assert shown(floor) == floor.state()

    (floor.home / "HALT").unlink()
    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 1)
    assert floor.open_trade().is_open


LOSSES = ("control", "journal", "flag")


def change_journal(floor: Floor, statement: str) -> None:
    database = sqlite3.connect(floor.home / "BOT1.sqlite")
    with database:
        database.execute(statement)
    database.close()


def lose(floor: Floor, what: str) -> None:
    """Let one of the stores that keep the latch be lost; the daemon has ended, or goes on."""
    if what == "journal":
        change_journal(floor, "DELETE FROM risk_latch")
        return
    names = ["latches/BOT1.json"] if what == "flag" else [f"control.sqlite{suffix}" for suffix in ("", "-wal", "-shm")]
    for name in names:
        (floor.home / name).unlink(missing_ok=True)


def damage(floor: Floor) -> None:
    """Put another file where the control store is."""
    (floor.home / "other").write_bytes(b"this is no database at all" * 1_000)
    (floor.home / "other").replace(floor.home / "control.sqlite")
    for suffix in ("-wal", "-shm"):  # SQLite would read all that the old file held from them
        (floor.home / f"control.sqlite{suffix}").unlink(missing_ok=True)


def halted(open_floor: OpenFloor) -> Floor:
    floor = lost(open_floor, max_drawdown=-0.04)
    assert floor.state()[0] == "halted"
    return floor


def kept_everywhere(floor: Floor) -> set[tuple[str, str]]:
    """Return the states that the three stores keep, with their reasons."""
    journal, flag = floor.stores["BOT1"].latch(), FileLatch(floor.home / "latches" / "BOT1.json").latch()
    state, reason = floor.control.trading_state("BOT1")
    found = {(latch.state.value, latch.reason) for latch in (journal, flag) if latch is not None}
    assert journal == flag
    return found | {(state.value, reason)}


@pytest.mark.parametrize("what", LOSSES)
def test_state_given_one_store_is_lost_while_stopped_then_stays_halted_with_its_marks(open_floor: OpenFloor, what: str) -> None:
    floor = halted(open_floor)
    state, marks = floor.state(), floor.runner().state.marks
    floor.close()
    lose(floor, what)

    floor.open()
    floor.run_candles(AFTER + 1, AFTER + 1)

    assert floor.state() == state
    assert floor.runner().state.marks == marks
    assert kept_everywhere(floor) == {state}


@pytest.mark.parametrize("what", LOSSES)
def test_state_given_one_store_is_lost_while_running_then_stays_halted_after_a_restart(open_floor: OpenFloor, what: str) -> None:
    floor = halted(open_floor)
    state, marks = floor.state(), floor.runner().state.marks
    lose(floor, what)

    floor.run_candles(AFTER + 1, AFTER + 1)
    assert floor.state() == state
    floor.reopen()
    floor.run_candles(AFTER + 2, AFTER + 2)

    assert (floor.state(), floor.runner().state.marks) == (state, marks)
    assert kept_everywhere(floor) == {state}


@pytest.mark.parametrize("is_running", [True, False])
def test_state_given_a_control_file_that_is_damaged_then_is_set_aside_and_made_anew(open_floor: OpenFloor, is_running: bool) -> None:
    floor = halted(open_floor)
    state = floor.state()
    if not is_running:
        floor.close()
    damage(floor)
    if not is_running:
        floor.open()

    floor.run_candles(AFTER + 1, AFTER + 1)
    floor.tick_after(1.0)

    assert floor.state() == state
    assert floor.control.trading_state("BOT1") == (TradingState.HALTED, state[1])
    assert beat_states(floor) == ["running"]
    assert (floor.home / "control.sqlite.damaged-1").exists()


def test_command_given_the_control_file_was_deleted_while_running_then_is_obeyed_again(open_floor: OpenFloor) -> None:
    floor = halted(open_floor)
    lose(floor, "control")
    floor.tick_after(1.0)

    sender = SqlControl.open(sqlite_url(floor.home / "control.sqlite"))
    sender.send_command(bot="BOT1", command="resume", argument="", issued_by="test", at=floor.clock.wall_now())
    sender.close()
    floor.tick_after(1.0)

    assert floor.state() == ("active", "")
    assert kept_everywhere(floor) == {("active", "")}
    floor.reopen()
    floor.run_candles(NEXT_DAY + 1, NEXT_DAY + 1)
    assert floor.state() == ("active", "")


@pytest.mark.parametrize("journal", ["DELETE FROM risk_latch", "UPDATE risk_latch SET state = 'active', reason = '', day = NULL"])
def test_state_given_a_home_of_an_earlier_release_then_takes_latch_and_marks_from_the_control_store(
    open_floor: OpenFloor, journal: str
) -> None:
    floor = halted(open_floor)
    floor.tick_after(1.0)
    state, marks = floor.state(), floor.runner().state.marks
    floor.close()
    change_journal(floor, journal)
    lose(floor, "flag")

    floor.open()
    floor.run_candles(AFTER + 1, AFTER + 1)

    assert (floor.state(), floor.runner().state.marks) == (state, marks)
    assert kept_everywhere(floor) == {state}


def test_state_given_a_flag_file_that_is_invalid_then_goes_on_with_the_journal(open_floor: OpenFloor) -> None:
    floor = halted(open_floor)
    state = floor.state()
    floor.close()
    (floor.home / "latches" / "BOT1.json").write_text("{")

    floor.open()
    floor.run_candles(AFTER + 1, AFTER + 1)

    assert floor.state() == state
    assert kept_everywhere(floor) == {state}


def beat_states(floor: Floor) -> list[str]:
    return [beat.state for beat in floor.control.heartbeats()]


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
