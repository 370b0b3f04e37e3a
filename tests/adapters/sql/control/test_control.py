"""Control data in a SQLite file: rows that are invalid, and times of commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreError
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat, TradingState
from tests.journals import OPENED, minutes

ANCHOR = ClockAnchor(source=ClockSource.REPLAYED, wall_at=OPENED, market_at=minutes(5), speed=0.5, is_running=False, ends_at=None)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[SqlControl]:
    control = SqlControl.open(sqlite_url(tmp_path / "control.sqlite"))
    yield control
    control.close()


def change(control: SqlControl, statement: str) -> None:
    with control._database.write() as connection:
        connection.exec_driver_sql(statement)


def test_anchor_given_a_slow_clock_that_stands_still_then_returns_it(control: SqlControl) -> None:
    control.set_anchor(ANCHOR)

    assert control.anchor() == ANCHOR


@pytest.mark.parametrize("speed", ["0.0", "-1.0", "9e999"])
def test_anchor_given_an_invalid_speed_then_is_refused(control: SqlControl, speed: str) -> None:
    control.set_anchor(ANCHOR)
    change(control, f"UPDATE clock_anchor SET speed = {speed}")  # noqa: S608  # constants of this file

    with pytest.raises(StoreError, match=r"row of clock_anchor is invalid \(speed must be above 0"):
        control.anchor()


@pytest.mark.parametrize("value", ["'sun'", "NULL"])
def test_anchor_given_an_unknown_source_then_is_refused(control: SqlControl, value: str) -> None:
    control.set_anchor(ANCHOR)
    change(control, f"UPDATE clock_anchor SET source = coalesce({value}, 'x')")  # noqa: S608  # constants of this file

    with pytest.raises(StoreError, match="row of clock_anchor is invalid"):
        control.anchor()


@pytest.mark.parametrize("detail", ["[]", "7", "{"])
def test_heartbeats_given_a_detail_that_is_no_object_then_are_refused(control: SqlControl, detail: str) -> None:
    control.beat(Heartbeat(process="BOT1", pid=7, started_at=OPENED, wall_at=OPENED, market_at=OPENED, state="running", detail={}))
    assert control.heartbeats()[0].detail == {}
    change(control, f"UPDATE heartbeats SET detail = '{detail}'")  # noqa: S608  # constants of this file

    with pytest.raises(StoreError, match="row of heartbeats is invalid"):
        control.heartbeats()


def test_trading_state_given_an_unknown_one_then_is_refused(control: SqlControl) -> None:
    control.set_trading_state("BOT1", TradingState.HALTED, reason="drawdown", at=OPENED)
    change(control, "UPDATE trading_states SET state = 'asleep'")

    with pytest.raises(StoreError, match="row of trading_states is invalid"):
        control.trading_state("BOT1")


def test_take_commands_given_some_then_stores_when_they_were_taken_and_finished(control: SqlControl) -> None:
    first = control.send_command(bot="BOT1", command="pause", argument="", issued_by="cli", at=OPENED)
    control.take_commands("BOT1", at=minutes(1))
    second = control.send_command(bot="BOT1", command="resume", argument="x", issued_by="cli", at=minutes(2))

    taken = control.take_commands("BOT1", at=minutes(3))
    control.finish_command(second, result="resumed", at=minutes(4))

    assert taken == [(second, "resume", "x")]
    with control._database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id, taken_at_us - issued_at_us, result, finished_at_us - issued_at_us FROM commands"
        ).all()
    assert [tuple(row) for row in rows] == [(first, 60_000_000, None, None), (second, 60_000_000, "resumed", 120_000_000)]
