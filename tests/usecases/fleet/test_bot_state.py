"""A bot's state beside the daemon: the stricter of the latch and what a fresh heartbeat tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreError
from bot3.ports.control import Heartbeat, TradingState
from bot3.trading.risk import is_stricter, strictest
from bot3.usecases.fleet.bot_state import DAEMON, STALE, daemon_beat, last_candle, state_in_force
from execution.heartbeat import marks_before

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
found = st.lists(st.tuples(st.sampled_from(TradingState), st.text(max_size=3)), min_size=1, max_size=4)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[SqlControl]:
    control = SqlControl.open(sqlite_url(tmp_path / "control.sqlite"))
    yield control
    control.close()


def beat(control: SqlControl, *, at: datetime = NOON, **detail: object) -> None:
    control.beat(Heartbeat(process=DAEMON, pid=1, started_at=at, wall_at=at, market_at=at, state="running", detail=detail))


def latch(control: SqlControl, state: TradingState, reason: str) -> None:
    control.set_trading_state("BOT1", state, reason=reason, at=NOON)


def test_state_in_force_given_an_active_latch_and_a_heartbeat_that_halts_then_is_halted_with_its_reason(control: SqlControl) -> None:
    latch(control, ACTIVE, "")
    beat(control, BOT1_state="halted", BOT1_reason="HALT exists")

    told = state_in_force(control, "BOT1", wall_now=NOON)

    assert (told.state, told.reason, told.is_latched, told.is_reported) == (HALTED, "HALT exists", False, True)


def test_state_in_force_given_a_stricter_latch_then_is_the_latch(control: SqlControl) -> None:
    latch(control, HALTED, "drawdown")
    beat(control, BOT1_state="reducing", BOT1_reason="daily_loss")

    told = state_in_force(control, "BOT1", wall_now=NOON)

    assert (told.state, told.reason, told.is_latched) == (HALTED, "drawdown", True)


def test_state_in_force_given_an_old_heartbeat_then_is_the_latch_and_says_that_nobody_told(control: SqlControl) -> None:
    beat(control, BOT1_state="halted", BOT1_reason="HALT exists")

    told = state_in_force(control, "BOT1", wall_now=NOON + STALE + timedelta(seconds=1))

    assert (told.state, told.reason, told.is_reported) == (ACTIVE, "", False)


def test_state_in_force_given_a_heartbeat_of_other_bots_then_says_that_nobody_told(control: SqlControl) -> None:
    beat(control, BOT2_state="active")

    assert not state_in_force(control, "BOT1", wall_now=NOON).is_reported


def test_state_in_force_given_a_state_that_there_is_not_then_refuses(control: SqlControl) -> None:
    beat(control, BOT1_state="resting")

    with pytest.raises(StoreError, match="resting"):
        state_in_force(control, "BOT1", wall_now=NOON)


@pytest.mark.parametrize("told", ["soon", "2026-01-05T12:00:00", "7"])
def test_last_candle_given_a_heartbeat_that_tells_no_instant_then_refuses(control: SqlControl, told: str) -> None:
    beat(control, last_candle=told)

    with pytest.raises(StoreError, match="reports the last candle"):
        last_candle(daemon_beat(control.heartbeats()))


@pytest.mark.parametrize("detail", ["[]", "null", "7", "{"])
def test_heartbeats_given_a_row_whose_detail_is_no_object_then_refuses(control: SqlControl, detail: str) -> None:
    beat(control)
    with control._database.write() as connection:
        connection.execute(sa.text("UPDATE heartbeats SET detail = :detail"), {"detail": detail})

    with pytest.raises(StoreError, match="a row of heartbeats is invalid"):
        control.heartbeats()


@pytest.mark.parametrize(("name", "value"), [("day", "soon"), ("peak_abs", 10**400), ("day_start_abs", float("inf"))])
def test_marks_before_given_a_heartbeat_with_invalid_marks_then_there_are_none(control: SqlControl, name: str, value: object) -> None:
    marks: dict[str, object] = {"BOT1_day": "2026-01-05", "BOT1_day_start_abs": 90.0, "BOT1_peak_abs": 100.0}
    beat(control, **marks)
    assert marks_before(control, "BOT1") is not None

    beat(control, **marks | {f"BOT1_{name}": value})

    assert marks_before(control, "BOT1") is None


@given(found)
def test_strictest_given_any_states_then_nothing_is_stricter(states: list[tuple[TradingState, str]]) -> None:
    kept = strictest(states)

    assert kept in states
    assert not any(is_stricter(state, kept[0]) for state, _ in states)
