"""A daemon killed at any durable step: the next one makes no second order, protects in time, and agrees with the exchange.

Between two durable steps nothing is kept, so a kill right after one is a kill anywhere before the next.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from bot3.trading.orders import IntentLeg, IntentState, OrderType
from tests.execution.faults import BUSY, Fault, FaultyExchange, Guillotine, KilledError
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at
from tests.markets import a_profile

LAST = ENTRY_AT + 12
IN_TIME_S = (3.0, 3.5, 1.0, 1.5)
"""Waits between looks after a restart: past the fence of what was sent, within the deadline."""

STEPS = 29
"""Durable steps of one trade, from its decision to its last cancelled order; the test of the whole life holds the number."""


def doomed_floor(open_floor: OpenFloor, guillotine: Guillotine) -> Floor:
    floor = open_floor(
        signals=ScriptedSignals(signal_at(ENTRY_AT)),
        profiles=[a_profile(longest_trade=timedelta(minutes=20))],
        wrap_store=guillotine.over,
        wrap_exchange=guillotine.over,
    )
    floor.daemon.tick()
    guillotine.steps.clear()
    return floor


def revived(floor: Floor) -> None:
    """Start another daemon on the home, and let it have most of its deadline."""
    floor.close()
    floor.wrap_store = floor.wrap_exchange = lambda port: port
    floor.open()
    floor.daemon.tick()
    for wait_s in IN_TIME_S:
        floor.tick_after(wait_s)


def assert_promises(floor: Floor) -> None:
    store, exchange = floor.stores["BOT1"], floor.exchanges["BOT1"]
    positions = {position.pair: position.amount for position in exchange.fetch_positions()}
    assert {trade.pair: trade.amount for trade in store.open_trades()} == {pair: float(amount) for pair, amount in positions.items()}
    stops = [order for order in floor.resting().values() if order.order_type is OrderType.STOP_MARKET]
    assert {stop.pair: stop.amount for stop in stops} == positions
    for leg in IntentLeg:
        accepted = [one for one in floor.intents(leg) if one.state not in {IntentState.DEAD, IntentState.REJECTED}]
        known = [one for one in accepted if exchange.fetch_order(pair=one.pair, client_order_id=one.client_order_id) is not None]
        per_decision = Counter((one.pair, one.candle_close_time, one.trade_id) for one in accepted)
        assert known == accepted
        assert set(per_decision.values()) <= {1}, f"{leg} was ordered twice: {accepted}"
    assert floor.state() == ("active", "")


def assert_decisions_tell_the_trades(floor: Floor) -> None:
    decisions = floor.stores["BOT1"].decisions_frame(limit=10)
    traded = decisions[decisions["reason"] == "entry"]
    assert set(traded["client_order_id"]) == {
        one.client_order_id for one in floor.intents(IntentLeg.ENTRY) if one.state is IntentState.DONE
    }
    assert len(traded) == floor.stores["BOT1"].count_closed(closed_since=None)


def test_daemon_given_nobody_who_kills_it_then_takes_the_steps_that_the_kills_count(open_floor: OpenFloor) -> None:
    guillotine = Guillotine()
    floor = doomed_floor(open_floor, guillotine)

    floor.run_candles(ENTRY_AT, LAST)

    assert floor.closed_trade().exit_reason == "time_exit"
    last = max(number for number, step in enumerate(guillotine.steps, start=1) if step == "cancel_order")
    assert last + 1 == STEPS
    assert_promises(floor)


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_daemon_given_a_kill_after_a_step_then_the_next_one_keeps_every_promise(open_floor: OpenFloor, at: int) -> None:
    guillotine = Guillotine(is_after=True)
    floor = doomed_floor(open_floor, guillotine)
    guillotine.at = at
    with pytest.raises(KilledError):
        floor.run_candles(ENTRY_AT, LAST)
    was_sent = "create_order" in guillotine.steps
    was_journalled = guillotine.steps.count("move_intent") >= 1

    revived(floor)
    assert_promises(floor)
    floor.run_candles(LAST, LAST + 2)

    assert_promises(floor)
    assert floor.stores["BOT1"].open_trades() == []
    # Only an entry that was journalled as sent and never left is lost: nobody can know, so nobody sends it again.
    expected = 0 if was_journalled and not was_sent else 1
    assert floor.stores["BOT1"].count_closed(closed_since=None) == expected
    assert_decisions_tell_the_trades(floor)


def test_daemon_given_a_kill_once_an_entry_was_known_to_be_dead_then_the_next_one_enters(open_floor: OpenFloor) -> None:
    guillotine, busy = Guillotine(), Fault(BUSY, legs=frozenset({IntentLeg.ENTRY}))
    floor = open_floor(wrap_store=guillotine.over, wrap_exchange=lambda real: FaultyExchange(real, [busy]))
    floor.daemon.tick()
    guillotine.steps.clear()
    # The decision, the plan, that it was sent, that it is dead.
    guillotine.at, guillotine.is_after = 4, True
    with pytest.raises(KilledError):
        floor.run_candles(ENTRY_AT, ENTRY_AT)
    assert guillotine.steps == ["record_decisions", "plan_intent", "move_intent", "move_intent"]

    revived(floor)

    assert [(one.attempt, one.state) for one in floor.intents(IntentLeg.ENTRY)] == [(1, IntentState.DEAD), (2, IntentState.DONE)]
