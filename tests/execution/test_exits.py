"""A trade ends by its stop, its target, giveback or time, once, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from bot3.errors import CandleError
from bot3.ports.candles import CandleReader
from bot3.trading.exit_rules import ExitRules
from bot3.trading.orders import IntentLeg
from bot3.trading.trades import ExitReason
from tests.execution.faults import BUSY, Fault, FaultyExchange
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, Rows, wobble
from tests.markets import CANDLE, FIRST, a_profile

FALLS = (100.0, 100.1, 98.5, 99.0)
RISES = (100.0, 101.5, 99.9, 101.4)
UP, DOWN = (100.0, 100.8, 99.9, 100.7), (100.7, 100.75, 100.1, 100.2)
GIVES_BACK = a_profile(exit_rules=ExitRules(giveback_activation_sigma=0.1))
SHORT_LIVED = a_profile(longest_trade=timedelta(minutes=20))


def after_entry(*rows: tuple[float, float, float, float]) -> Rows:
    return [*wobble(ENTRY_AT), *rows, *wobble(20)]


@pytest.mark.parametrize(
    ("rows", "profile", "reason", "closed_at"),
    [
        ([FALLS], a_profile(), ExitReason.STOP_LOSS, ENTRY_AT + 1),
        ([RISES], a_profile(), ExitReason.ROI, ENTRY_AT + 1),
        ([UP, DOWN], GIVES_BACK, ExitReason.GIVEBACK, ENTRY_AT + 2),
        ([], SHORT_LIVED, ExitReason.TIME_EXIT, ENTRY_AT + 4),
    ],
)
def test_daemon_given_an_exit_then_closes_once_and_leaves_nothing_behind(
    open_floor: OpenFloor, rows: Rows, profile: object, reason: ExitReason, closed_at: int
) -> None:
    floor = open_floor(after_entry(*rows), profiles=[profile])

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 6)

    trade = floor.closed_trade()
    assert trade.exit_reason == reason.value
    assert trade.close_date is not None
    assert timedelta(0) <= trade.close_date - (FIRST + closed_at * CANDLE) < timedelta(seconds=2)
    assert floor.exchanges["BOT1"].fetch_positions() == []
    assert floor.resting() == {}
    assert len(floor.intents(IntentLeg.EXIT)) == (0 if reason in {ExitReason.STOP_LOSS, ExitReason.ROI} else 1)


def test_exits_given_candles_that_cannot_be_read_at_one_close_then_judges_them_at_the_next(open_floor: OpenFloor) -> None:
    candles = []
    recovers = (100.2, 100.78, 100.1, 100.75)
    floor = open_floor(
        after_entry(UP, DOWN, recovers), profiles=[GIVES_BACK], wrap_candles=lambda real: candles.append(Unreadable(real)) or candles[-1]
    )
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 1)

    candles[-1].is_readable = False
    floor.run_candles(ENTRY_AT + 2, ENTRY_AT + 2)
    candles[-1].is_readable = True
    assert floor.open_trade().is_open
    floor.run_candles(ENTRY_AT + 3, ENTRY_AT + 3)

    assert floor.closed_trade().exit_reason == ExitReason.GIVEBACK.value


@dataclass
class Unreadable:
    """Candles that can be made unreadable."""

    real: CandleReader
    is_readable: bool = True

    def candles(self, *arguments: Any, **named: Any) -> pd.DataFrame:
        if not self.is_readable:
            raise CandleError("the candles cannot be read")
        return self.real.candles(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def held(open_floor: OpenFloor, *faults: Fault, profile: object = SHORT_LIVED) -> Floor:
    floor = open_floor(wrap_exchange=lambda real: FaultyExchange(real, list(faults)), profiles=[profile])
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 3)
    return floor


def test_exits_given_a_busy_exchange_then_leaves_as_soon_as_it_is_taken(open_floor: OpenFloor) -> None:
    floor = held(open_floor, Fault(BUSY, legs=frozenset({IntentLeg.EXIT}), times=2))

    floor.run_candles(ENTRY_AT + 4, ENTRY_AT + 4)
    for _ in range(4):
        floor.tick_after(1.0)

    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT.value


def test_exits_given_a_kill_after_a_busy_answer_then_leaves_after_the_restart(open_floor: OpenFloor) -> None:
    fault = Fault(BUSY, legs=frozenset({IntentLeg.EXIT}))
    floor = held(open_floor, fault)
    floor.run_candles(ENTRY_AT + 4, ENTRY_AT + 4)
    fault.times = 0

    floor.reopen()
    floor.tick_after(0.2)
    floor.tick_after(0.2)

    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT.value


def test_exits_given_a_process_that_slept_over_the_exit_then_leaves_when_it_is_back(open_floor: OpenFloor) -> None:
    floor = held(open_floor)

    floor.close()
    floor.to_close_of(ENTRY_AT + 9)
    floor.open()
    floor.daemon.tick()
    floor.daemon.tick()

    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT.value


def test_exits_given_halted_then_waits_for_a_person_and_leaves_when_let(open_floor: OpenFloor) -> None:
    floor = held(open_floor)
    (floor.home / "HALT").touch()

    floor.run_candles(ENTRY_AT + 4, ENTRY_AT + 5)
    assert floor.open_trade().is_open
    (floor.home / "HALT").unlink()
    floor.run_candles(ENTRY_AT + 6, ENTRY_AT + 7)

    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT.value


def test_exits_given_reducing_then_leaves_all_the_same(open_floor: OpenFloor) -> None:
    floor = held(open_floor)
    floor.control.send_command(bot="BOT1", command="pause", argument="", issued_by="test", at=floor.clock.wall_now())

    floor.run_candles(ENTRY_AT + 4, ENTRY_AT + 5)

    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT.value
