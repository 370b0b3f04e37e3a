"""The way out to the exchange: journalled first, at most one order an intent, no guess about what nobody answered."""

from __future__ import annotations

import pytest

from bot3.trading.orders import Intent, IntentLeg, IntentState
from execution.submit import Submitter
from tests.execution.faults import BUSY, REFUSED, UNKNOWN, Fault, FaultyExchange
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at

ENTRY = frozenset({IntentLeg.ENTRY})


def faulty(floor: Floor) -> FaultyExchange:
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, FaultyExchange)
    return exchange


def with_fault(open_floor: OpenFloor, fault: Fault, *closes: int) -> Floor:
    signals = ScriptedSignals(*(signal_at(number) for number in closes or (ENTRY_AT,)))
    floor = open_floor(wrap_exchange=lambda exchange: FaultyExchange(exchange, [fault]), signals=signals)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    return floor


def test_submit_given_any_order_then_decision_and_intent_are_journalled_before_it_leaves(open_floor: OpenFloor) -> None:
    floor = open_floor(wrap_exchange=FaultyExchange)
    seen: list[tuple[IntentLeg, IntentState, bool, str]] = []

    def look(intent: Intent) -> None:
        store = floor.stores["BOT1"]
        (kept,) = [one for one in store.intents_of_trade(intent.trade_id) if one.client_order_id == intent.client_order_id]
        decided = store.decisions_frame(limit=1).loc[0, "client_order_id"]
        seen.append((kept.leg, kept.state, kept.sent_at == intent.sent_at == floor.clock.wall_now(), decided))

    faulty(floor).watch = look
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    (entry,) = floor.intents(IntentLeg.ENTRY)
    assert seen == [(leg, IntentState.SENT, True, entry.client_order_id) for leg in (IntentLeg.ENTRY, IntentLeg.STOP, IntentLeg.TARGET)]


def test_submit_given_an_intent_known_already_then_sends_nothing(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(BUSY, times=0))
    (entry,) = floor.intents(IntentLeg.ENTRY)
    sent = len(faulty(floor).sent)

    state = Submitter(floor.bots["BOT1"], floor.runner().state).submit(entry)

    assert state is None
    assert len(faulty(floor).sent) == sent


def test_submit_given_an_accepted_entry_without_an_answer_then_finds_it_and_sends_no_second(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(UNKNOWN, legs=ENTRY, accepts=True), ENTRY_AT, ENTRY_AT + 1)

    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 2)

    (entry,) = floor.intents(IntentLeg.ENTRY)
    assert entry.state is IntentState.DONE
    assert float(entry.amount) == floor.open_trade().amount


def test_submit_given_an_entry_that_never_arrived_then_it_is_unknown_until_its_fence_and_dead_after(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(UNKNOWN, legs=ENTRY))

    floor.tick_after(5.5)
    assert [intent.state for intent in floor.intents(IntentLeg.ENTRY)] == [IntentState.SENT]
    floor.tick_after(1.0)

    assert [intent.state for intent in floor.intents(IntentLeg.ENTRY)] == [IntentState.DEAD]
    assert [intent.leg for intent in faulty(floor).sent] == [IntentLeg.ENTRY]


def test_submit_given_an_unknown_entry_then_its_pair_counts_as_taken(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(UNKNOWN, legs=ENTRY), ENTRY_AT, ENTRY_AT + 1)

    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 1)

    assert floor.holds() == ["position_open"]


def test_submit_given_a_busy_exchange_then_the_entry_is_dropped_and_the_next_signal_enters(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(BUSY, legs=ENTRY, times=1), ENTRY_AT, ENTRY_AT + 1)

    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 1)

    assert [intent.state for intent in floor.intents(IntentLeg.ENTRY)] == [IntentState.DEAD, IntentState.DONE]


def test_submit_given_a_refusal_then_keeps_its_reason_and_never_sends_it_again(open_floor: OpenFloor) -> None:
    floor = with_fault(open_floor, Fault(REFUSED, legs=ENTRY))

    floor.tick_after(1.0)

    (entry,) = floor.intents(IntentLeg.ENTRY)
    assert (entry.state, entry.reject_reason) == (IntentState.REJECTED, "refused for good")
    assert len(faulty(floor).sent) == 1
    decided = floor.stores["BOT1"].decisions_frame(limit=1).loc[0]
    assert (decided["outcome"], decided["reason"], decided["detail"]["reject_reason"]) == (
        "not_traded",
        "order_rejected",
        "refused for good",
    )


@pytest.mark.parametrize(("refusals", "state"), [(4, "active"), (5, "halted")])
def test_submit_given_a_storm_of_refusals_then_halts(open_floor: OpenFloor, refusals: int, state: str) -> None:
    closes = range(ENTRY_AT, ENTRY_AT + refusals)
    floor = with_fault(open_floor, Fault(REFUSED, legs=ENTRY), *closes)

    floor.run_candles(ENTRY_AT + 1, ENTRY_AT + refusals)

    assert floor.state()[0] == state
