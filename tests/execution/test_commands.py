"""What a person asks for through the control store is done once, and answered."""

from __future__ import annotations

import sqlite3

import pytest

from bot3.trading.orders import IntentLeg
from bot3.trading.trades import ExitReason
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, locked, signal_at


def send(floor: Floor, command: str, argument: str = "", *, bot: str = "BOT1") -> str | None:
    """Queue a command, tick, and return what came of it; None while nobody took it."""
    number = floor.control.send_command(bot=bot, command=command, argument=argument, issued_by="test", at=floor.clock.wall_now())
    floor.tick_after(0.2)
    with sqlite3.connect(floor.home / "control.sqlite") as connection:
        (result,) = connection.execute("SELECT result FROM commands WHERE id = ?", (number,)).fetchone()
    connection.close()
    return None if result is None else str(result)


@pytest.mark.parametrize(
    ("command", "state", "answer"),
    [("pause", "reducing", "reducing: paused by command"), ("halt", "halted", "halted: halted by command")],
)
def test_command_given_a_stop_then_entries_end_until_resume_whatever_restarts(
    open_floor: OpenFloor, command: str, state: str, answer: str
) -> None:
    floor = open_floor(signals=ScriptedSignals(signal_at(ENTRY_AT), signal_at(ENTRY_AT + 1)))
    floor.daemon.tick()
    assert send(floor, command) == answer

    floor.reopen()
    floor.run_candles(ENTRY_AT, ENTRY_AT)
    assert floor.holds() == [state]

    assert send(floor, "resume") == "active"
    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 1)
    assert floor.open_trade().is_open


def test_resume_given_the_halt_file_then_says_that_it_still_halts(open_floor: OpenFloor) -> None:
    floor = open_floor()
    (floor.home / "HALT").touch()

    assert send(floor, "resume") == "halted: HALT exists in the home: delete it to resume"


def test_force_exit_given_an_open_trade_then_closes_it_and_leaves_nothing_behind(entered: Floor) -> None:
    assert send(entered, "force_exit", str(entered.open_trade().trade_id)) == "closed at market"

    assert entered.closed_trade().exit_reason == ExitReason.FORCE_EXIT.value
    assert (entered.exchanges["BOT1"].fetch_positions(), entered.resting()) == ([], {})


def test_force_exit_given_halted_then_closes_all_the_same(entered: Floor) -> None:
    send(entered, "halt")

    assert send(entered, "force_exit", "1") == "closed at market"


def test_force_exit_given_twice_then_sends_one_exit(entered: Floor) -> None:
    for _ in range(2):
        entered.control.send_command(bot="BOT1", command="force_exit", argument="1", issued_by="test", at=entered.clock.wall_now())

    entered.tick_after(0.2)
    entered.tick_after(0.2)

    assert len(entered.intents(IntentLeg.EXIT)) == 1


@pytest.mark.parametrize(
    ("command", "argument", "answer"),
    [
        ("force_exit", "7", "refused: BOT1 has no open trade with the id 7"),
        ("moon", "", "refused: unknown command 'moon', valid commands are pause, resume, halt, force_exit"),
    ],
)
def test_command_given_something_that_cannot_be_done_then_is_refused_and_changes_nothing(
    entered: Floor, command: str, argument: str, answer: str
) -> None:
    assert send(entered, command, argument) == answer

    assert entered.state() == ("active", "")
    assert entered.open_trade().is_open


def test_force_exit_given_a_store_that_is_locked_then_says_that_it_failed(open_floor: OpenFloor) -> None:
    floor = open_floor(busy_timeout_s=0.01)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    with locked(floor, "BOT1.sqlite"):
        answer = send(floor, "force_exit", "1")
    assert answer is not None
    assert answer.startswith("failed, check the bot's state before you send the command again: ")

    assert send(floor, "force_exit", "1") == "closed at market"


def test_command_given_another_bot_then_is_not_taken(entered: Floor) -> None:
    assert send(entered, "halt", bot="BOT2") is None

    assert entered.state() == ("active", "")
