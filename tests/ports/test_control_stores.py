"""One suite for every `ControlStore`: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot3.adapters.sql.control.control import SqlControl
from bot3.errors import StoreError
from bot3.ports.control import ClockAnchor, ClockSource, ControlStore, Heartbeat, TradingState
from tests.conftest import NewStore
from tests.journals import OPENED, minutes


@pytest.fixture
def control(new_store: NewStore) -> Iterator[ControlStore]:
    control = SqlControl.open(new_store())
    yield control
    control.close()


def a_beat(process: str, *, state: str = "running") -> Heartbeat:
    return Heartbeat(
        process=process, pid=7, started_at=OPENED, wall_at=minutes(1), market_at=minutes(60), state=state, detail={"n": 3, "ok": True}
    )


def test_beat_given_two_of_a_process_then_keeps_the_newest(control: ControlStore) -> None:
    control.beat(a_beat("BOT1"))
    control.beat(a_beat("BOT2"))
    control.beat(a_beat("BOT1", state="stopping"))

    assert control.heartbeats() == (a_beat("BOT1", state="stopping"), a_beat("BOT2"))


def test_anchor_given_none_then_one_then_returns_it(control: ControlStore) -> None:
    anchor = ClockAnchor(source=ClockSource.REPLAYED, wall_at=OPENED, market_at=minutes(5), speed=60.0, is_running=True, ends_at=minutes(9))
    assert control.anchor() is None

    control.set_anchor(anchor)

    assert control.anchor() == anchor


def test_trading_state_given_never_set_then_is_active_and_latches(control: ControlStore) -> None:
    assert control.trading_state("BOT1") == (TradingState.ACTIVE, "")

    control.set_trading_state("BOT1", TradingState.HALTED, reason="drawdown", at=OPENED)

    assert control.trading_state("BOT1") == (TradingState.HALTED, "drawdown")
    assert control.trading_state("BOT2") == (TradingState.ACTIVE, "")


def test_take_commands_given_queued_ones_then_each_is_taken_once_in_order(control: ControlStore) -> None:
    sent = [control.send_command(bot="BOT1", command=name, argument="3", issued_by="cli", at=OPENED) for name in ("pause", "force_exit")]
    control.send_command(bot="BOT2", command="halt", argument="", issued_by="cli", at=OPENED)

    assert control.take_commands("BOT1", at=minutes(1)) == [(sent[0], "pause", "3"), (sent[1], "force_exit", "3")]
    assert control.take_commands("BOT1", at=minutes(2)) == []
    control.finish_command(sent[0], result="paused", at=minutes(2))


def test_finish_command_given_an_unknown_id_then_says_so(control: ControlStore) -> None:
    with pytest.raises(StoreError, match="contains no command 99"):
        control.finish_command(99, result="", at=OPENED)
