"""Every position has a working stop on the exchange within the deadline, or is flattened."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bot3.trading.orders import IntentLeg, IntentState, OrderType
from bot3.trading.trades import ExitReason
from tests.execution.faults import BUSY, REFUSED, UNKNOWN, Fault, FaultyExchange
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor
from tests.markets import BTC

STOP, TARGET = frozenset({IntentLeg.STOP}), frozenset({IntentLeg.TARGET})
DEADLINE_S = 10.0


def entered_with(open_floor: OpenFloor, *faults: Fault) -> Floor:
    floor = open_floor(wrap_exchange=lambda exchange: FaultyExchange(exchange, list(faults)))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    return floor


def test_protect_given_an_entry_then_stop_and_target_rest_where_it_was_decided(entered: Floor) -> None:
    trade, resting = entered.open_trade(), entered.resting()

    (entry,) = entered.intents(IntentLeg.ENTRY)
    assert {kind: float(order.trigger_rate or 0) for kind, order in resting.items()} == {
        OrderType.STOP_MARKET: entry.context["stop_rate"],
        OrderType.TAKE_PROFIT_MARKET: entry.context["take_profit_rate"],
    }
    assert {float(order.amount) for order in resting.values()} == {trade.amount}


def test_protect_given_a_busy_exchange_then_places_the_stop_as_soon_as_it_is_taken(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(BUSY, legs=STOP, times=3))

    assert OrderType.STOP_MARKET not in floor.resting()
    for _ in range(6):
        floor.tick_after(0.5)

    assert OrderType.STOP_MARKET in floor.resting()
    assert [intent.state for intent in floor.intents(IntentLeg.STOP)] == [IntentState.DEAD] * 3 + [IntentState.ACKED]
    assert floor.open_trade().is_open


def test_protect_given_no_stop_within_the_deadline_then_flattens(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(BUSY, legs=STOP))

    for _ in range(int(DEADLINE_S)):
        floor.tick_after(1.0)
    assert floor.exchanges["BOT1"].fetch_positions() != []
    floor.tick_after(0.5)
    floor.tick_after(0.1)

    assert floor.exchanges["BOT1"].fetch_positions() == []
    assert floor.closed_trade().exit_reason == ExitReason.EMERGENCY_EXIT.value


def test_protect_given_a_wall_clock_set_back_then_the_deadline_starts_anew_and_holds(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(BUSY, legs=STOP))

    floor.tick_after(-30.0)
    for _ in range(int(DEADLINE_S) + 1):
        floor.tick_after(1.0)
    floor.tick_after(0.1)

    assert floor.exchanges["BOT1"].fetch_positions() == []


def test_protect_given_a_wall_clock_set_back_then_a_busy_stop_is_tried_again_at_once(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(BUSY, legs=STOP, times=1))

    floor.tick_after(-30.0)

    assert OrderType.STOP_MARKET in floor.resting()


def test_protect_given_a_stop_that_is_refused_then_flattens_at_once(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(REFUSED, legs=STOP))

    assert floor.exchanges["BOT1"].fetch_positions() == []
    floor.tick_after(0.2)
    assert floor.closed_trade().exit_reason == ExitReason.EMERGENCY_EXIT.value


def test_protect_given_a_flattening_that_is_not_taken_then_tries_until_it_is(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(REFUSED, legs=STOP), Fault(BUSY, legs=frozenset({IntentLeg.EXIT}), times=2))

    assert floor.exchanges["BOT1"].fetch_positions() != []
    for _ in range(4):
        floor.tick_after(1.0)

    assert floor.exchanges["BOT1"].fetch_positions() == []


@pytest.mark.parametrize("accepts", [True, False])
def test_protect_given_a_stop_without_an_answer_then_one_stop_rests_within_the_deadline(open_floor: OpenFloor, *, accepts: bool) -> None:
    floor = entered_with(open_floor, Fault(UNKNOWN, legs=STOP, accepts=accepts, times=1))

    for _ in range(int(DEADLINE_S) - 1):
        floor.tick_after(1.0)

    resting = floor.resting()
    assert float(resting[OrderType.STOP_MARKET].amount) == floor.open_trade().amount
    assert len(floor.intents(IntentLeg.STOP)) == (1 if accepts else 2)


def test_protect_given_a_stop_cancelled_by_a_stranger_then_places_another(entered: Floor) -> None:
    stop = entered.resting()[OrderType.STOP_MARKET]
    entered.exchanges["BOT1"].cancel_order(pair=BTC, client_order_id=stop.client_order_id)

    entered.tick_after(0.2)

    again = entered.resting()[OrderType.STOP_MARKET]
    assert (again.amount, again.trigger_rate) == (stop.amount, stop.trigger_rate)
    assert again.client_order_id != stop.client_order_id


def test_protect_given_a_target_that_is_refused_then_the_stop_still_rests(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(REFUSED, legs=TARGET))
    floor.tick_after(0.2)

    assert set(floor.resting()) == {OrderType.STOP_MARKET}
    assert len(floor.intents(IntentLeg.TARGET)) == 1


def test_protect_given_a_restart_with_a_bare_position_then_tells_and_protects_at_once(open_floor: OpenFloor) -> None:
    fault = Fault(BUSY, legs=STOP)
    floor = entered_with(open_floor, fault)
    fault.times = 0

    with capture_logs() as logs:
        floor.reopen()
        floor.daemon.tick()

    assert OrderType.STOP_MARKET in floor.resting()
    assert "position_found_unprotected" in [entry["event"] for entry in logs]


def test_protect_given_halted_then_the_stop_is_placed_all_the_same(open_floor: OpenFloor) -> None:
    floor = entered_with(open_floor, Fault(BUSY, legs=STOP, times=1))
    (floor.home / "HALT").touch()

    floor.tick_after(1.0)

    assert OrderType.STOP_MARKET in floor.resting()
