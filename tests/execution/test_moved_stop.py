"""A stop is moved to break-even by placing the new one first: the position is never without a stop, whatever fails in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from bot3.errors import OrderRejectedError
from bot3.ports.exchange import Exchange
from bot3.trading.exit_rules import ExitRules
from bot3.trading.orders import IntentLeg, IntentState, OrderStatus, OrderType
from bot3.trading.trades import ExitReason
from tests.execution.faults import BUSY, REFUSED, UNKNOWN, Fault, FaultyExchange, Guillotine, KilledError
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, Rows, wobble
from tests.markets import BTC, CANDLE, COSTS, FIRST, a_market, a_profile

STOP = frozenset({IntentLeg.STOP})
MOVES = a_profile(exit_rules=ExitRules(giveback_activation_sigma=50.0, break_even_activation_sigma=0.1))
UP, HIGH, DOWN = (100.0, 100.8, 99.9, 100.7), (100.7, 100.75, 100.5, 100.6), (100.7, 100.75, 100.1, 100.2)
BACK = (100.0, 100.8, 99.9, 100.1)
MOVED_AT = ENTRY_AT + 1
WAITS_S = (3.0, 3.5, 1.0, 1.5)
"""Waits between looks after a restart: past the fence of what was sent, within the deadline."""


def floor_of(open_floor: OpenFloor, *rows: tuple[float, float, float, float], **changes: object) -> Floor:
    candles: Rows = [*wobble(ENTRY_AT), *rows, *wobble(20, rate=100.6)]
    return open_floor(candles, **{"profiles": [MOVES], **changes})


def break_even(floor: Floor) -> Decimal:
    return a_market().break_even_rate(floor.open_trade().open_rate, is_short=False, costs=COSTS)


def stop_states(floor: Floor) -> list[IntentState]:
    return [intent.state for intent in floor.intents(IntentLeg.STOP)]


def stops(floor: Floor) -> list[Decimal | None]:
    orders = floor.exchanges["BOT1"].fetch_open_orders()
    return [order.trigger_rate for order in orders if order.order_type is OrderType.STOP_MARKET]


def test_stop_given_the_activation_reached_then_rests_at_break_even_for_the_whole_position(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, HIGH, HIGH)

    floor.run_candles(ENTRY_AT - 1, MOVED_AT)

    resting = floor.resting()
    assert set(resting) == {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET}
    assert resting[OrderType.STOP_MARKET].trigger_rate == break_even(floor)
    assert float(resting[OrderType.STOP_MARKET].amount) == floor.open_trade().amount
    assert stop_states(floor) == [IntentState.CANCELED, IntentState.ACKED]


def test_stop_given_it_was_moved_then_ends_the_trade_at_about_nothing(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, DOWN)

    floor.run_candles(ENTRY_AT - 1, MOVED_AT + 2)

    trade = floor.closed_trade()
    assert trade.exit_reason == ExitReason.STOP_LOSS.value
    assert trade.close_profit == pytest.approx(0.0, abs=1e-6)
    assert floor.resting() == {}


def test_stop_given_it_was_moved_then_is_moved_once(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, HIGH, HIGH, HIGH)

    floor.run_candles(ENTRY_AT - 1, MOVED_AT + 3)

    assert len(floor.intents(IntentLeg.STOP)) == 2


def test_stop_given_a_rate_below_break_even_then_is_moved_at_the_first_open_beyond_it(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, BACK, (100.1, 100.7, 99.9, 100.6), HIGH)

    floor.run_candles(ENTRY_AT - 1, MOVED_AT)
    before = stops(floor)
    floor.run_candles(MOVED_AT + 1, MOVED_AT + 1)

    assert before != [break_even(floor)]
    assert stops(floor) == [break_even(floor)]


def test_stop_given_the_rule_is_off_then_stays_where_it_was_placed(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, HIGH, HIGH, profiles=[a_profile(exit_rules=ExitRules(giveback_activation_sigma=50.0))])

    floor.run_candles(ENTRY_AT - 1, MOVED_AT + 1)

    assert len(floor.intents(IntentLeg.STOP)) == 1


def test_stop_given_the_new_one_is_not_accepted_then_the_old_one_rests_and_the_next_close_tries_again(open_floor: OpenFloor) -> None:
    fault = Fault(BUSY, legs=STOP, times=0)
    floor = floor_of(open_floor, UP, HIGH, HIGH, wrap_exchange=lambda real: FaultyExchange(real, [fault]))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    old, fault.times = stops(floor), 1

    floor.run_candles(MOVED_AT, MOVED_AT)
    after_fault = stops(floor)
    floor.run_candles(MOVED_AT + 1, MOVED_AT + 1)

    assert after_fault == old
    assert stops(floor) == [break_even(floor)]
    assert stop_states(floor) == [IntentState.CANCELED, IntentState.DEAD, IntentState.ACKED]


def test_stop_given_the_new_one_is_rejected_then_the_position_keeps_the_old_one(open_floor: OpenFloor) -> None:
    fault = Fault(REFUSED, legs=STOP, times=0)
    floor = floor_of(open_floor, UP, HIGH, HIGH, wrap_exchange=lambda real: FaultyExchange(real, [fault]))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    old, fault.times = stops(floor), 1

    floor.run_candles(MOVED_AT, MOVED_AT)

    assert stops(floor) == old
    assert floor.open_trade().is_open


@pytest.mark.parametrize("accepts", [True, False])
def test_stop_given_no_answer_to_the_new_one_then_one_stop_rests_at_the_end(open_floor: OpenFloor, *, accepts: bool) -> None:
    fault = Fault(UNKNOWN, legs=STOP, accepts=accepts, times=0)
    floor = floor_of(open_floor, UP, HIGH, HIGH, HIGH, wrap_exchange=lambda real: FaultyExchange(real, [fault]))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    fault.times = 1

    floor.run_candles(MOVED_AT, MOVED_AT)
    assert stops(floor) != []
    floor.tick_after(1.0)
    floor.run_candles(MOVED_AT + 1, MOVED_AT + 3)

    assert stops(floor) == [break_even(floor)]


def test_stop_given_a_moved_one_is_cancelled_from_outside_then_is_placed_again_at_break_even(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, HIGH, HIGH)
    floor.run_candles(ENTRY_AT - 1, MOVED_AT)
    stop = floor.resting()[OrderType.STOP_MARKET]

    floor.exchanges["BOT1"].cancel_order(pair=BTC, client_order_id=stop.client_order_id)
    floor.tick_after(0.2)

    assert stops(floor) == [break_even(floor)]


def test_stop_given_the_rate_cannot_be_read_at_the_close_then_is_moved_within_the_candle(open_floor: OpenFloor) -> None:
    exchanges: list[FaultyExchange] = []
    floor = floor_of(open_floor, UP, HIGH, DOWN, wrap_exchange=lambda real: exchanges.append(FaultyExchange(real)) or exchanges[-1])
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    old, exchanges[-1].away = stops(floor), frozenset({"fetch_rate"})

    floor.run_candles(MOVED_AT, MOVED_AT)
    during, exchanges[-1].away = stops(floor), frozenset()
    floor.tick_after(0.2)

    assert during == old
    assert stops(floor) == [break_even(floor)]


def test_stop_given_every_move_is_rejected_then_the_old_one_rests_and_the_bot_trades_on(open_floor: OpenFloor) -> None:
    fault = Fault(REFUSED, legs=STOP, times=0)
    floor = floor_of(open_floor, UP, *[HIGH] * 8, wrap_exchange=lambda real: FaultyExchange(real, [fault]))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    old, fault.times = stops(floor), 99

    floor.run_candles(MOVED_AT, MOVED_AT + 6)

    assert stop_states(floor).count(IntentState.REJECTED) == 7
    assert stops(floor) == old
    assert floor.state() == ("active", "")


def test_stop_given_a_halted_bot_then_stays_where_it_is(open_floor: OpenFloor) -> None:
    floor = floor_of(open_floor, UP, HIGH, HIGH)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    old = stops(floor)
    (floor.home / "HALT").touch()

    floor.run_candles(MOVED_AT, MOVED_AT + 1)

    assert floor.state()[0] == "halted"
    assert stops(floor) == old
    assert len(floor.intents(IntentLeg.STOP)) == 1


def test_stop_given_a_moved_one_disappears_while_the_old_one_rests_then_is_moved_again(open_floor: OpenFloor) -> None:
    exchanges: list[NoCancel] = []
    floor = floor_of(open_floor, UP, *[HIGH] * 4, wrap_exchange=lambda real: exchanges.append(NoCancel(real)) or exchanges[-1])
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    exchanges[-1].refuses = True
    floor.run_candles(MOVED_AT, MOVED_AT)
    both = stops(floor)
    moved = next(order for order in floor.exchanges["BOT1"].fetch_open_orders() if order.trigger_rate == break_even(floor))
    floor.exchanges["BOT1"].cancel_order(pair=BTC, client_order_id=moved.client_order_id)
    exchanges[-1].refuses = False

    floor.run_candles(MOVED_AT + 1, MOVED_AT + 2)

    assert len(both) == 2
    assert stops(floor) == [break_even(floor)]


def test_stop_given_the_trade_closed_while_its_account_was_read_then_is_not_sent(open_floor: OpenFloor) -> None:
    """The candle that closes between the reading of the account and the decision touches the target."""
    exchanges: list[SlowPositions] = []
    floor = floor_of(
        open_floor,
        (100.0, 100.05, 99.95, 100.0),
        (100.0, 140.0, 99.95, 139.0),
        *[(139.0, 139.5, 138.5, 139.0)] * 2,
        wrap_exchange=lambda real: exchanges.append(SlowPositions(real)) or exchanges[-1],
    )
    floor.run_candles(ENTRY_AT - 1, MOVED_AT)
    close = FIRST + (MOVED_AT + 1) * CANDLE
    floor.clock.move(((close - floor.clock.now()).total_seconds() - 0.6) / floor.speed)
    exchanges[-1].when_read = lambda: floor.clock.move(1.2 / floor.speed)

    floor.daemon.tick()
    floor.tick_after(0.2)

    assert floor.closed_trade().exit_reason == ExitReason.ROI.value
    assert IntentState.REJECTED not in stop_states(floor)


@dataclass
class NoCancel:
    """An `Exchange` that can refuse to cancel orders."""

    real: Exchange
    refuses: bool = False

    def cancel_order(self, **named: Any) -> OrderStatus:
        if self.refuses:
            raise OrderRejectedError("not cancelled")
        return self.real.cancel_order(**named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@dataclass
class SlowPositions:
    """An `Exchange` whose next answer about positions is preceded by an event once."""

    real: Exchange
    when_read: Callable[[], None] | None = None

    def fetch_positions(self) -> Any:
        found = self.real.fetch_positions()
        if self.when_read is not None:
            happens, self.when_read = self.when_read, None
            happens()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_daemon_given_a_kill_at_any_step_of_a_move_then_a_stop_always_rests(open_floor: OpenFloor, *, is_after: bool) -> None:
    at, is_over = 1, False
    while not is_over:
        guillotine = Guillotine(is_after=is_after)
        floor = floor_of(open_floor, UP, *[HIGH] * 8, wrap_store=guillotine.over, wrap_exchange=guillotine.over)
        floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
        guillotine.steps.clear()
        guillotine.at = at
        try:
            floor.run_candles(MOVED_AT, MOVED_AT)
            is_over = True
        except KilledError:
            assert stops(floor) != []
            floor.close()
            floor.wrap_store = floor.wrap_exchange = lambda port: port
            floor.open()
            for wait_s in WAITS_S:
                floor.tick_after(wait_s)
                assert stops(floor) != []
            floor.run_candles(MOVED_AT + 1, MOVED_AT + 3)

        assert stops(floor) == [break_even(floor)]
        assert float(floor.resting()[OrderType.STOP_MARKET].amount) == floor.open_trade().amount
        assert floor.state() == ("active", "")
        at += 1
    assert at > 8
