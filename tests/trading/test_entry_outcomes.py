"""What became of a decision to enter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.entry_outcomes import EntryOutcome, EntryReason, judge_entry
from bot3.trading.orders import IntentState

states = st.none() | st.sampled_from(IntentState)


@pytest.mark.parametrize(
    ("state", "was_sent", "outcome", "reason"),
    [
        (None, False, "not_traded", "no_intent"),
        (IntentState.PLANNED, False, "not_traded", "not_sent"),
        (IntentState.DEAD, False, "not_traded", "not_sent"),
        (IntentState.DEAD, True, "not_traded", "no_order"),
        (IntentState.REJECTED, True, "not_traded", "order_rejected"),
        (IntentState.CANCELED, True, "not_traded", "order_canceled"),
        (IntentState.SENT, True, "pending", "unanswered"),
        (IntentState.ACKED, True, "pending", "order_open"),
        (IntentState.DONE, True, "intent", "entry"),
    ],
)
def test_judge_entry_given_no_fill_then_the_order_tells(state: IntentState | None, outcome: str, reason: str, *, was_sent: bool) -> None:
    assert judge_entry(state, was_sent=was_sent, is_filled=False) == (outcome, reason)


@given(states, st.booleans())
def test_judge_entry_given_a_fill_then_was_traded_whatever_its_order_is(state: IntentState | None, was_sent: bool) -> None:
    assert judge_entry(state, was_sent=was_sent, is_filled=True) == (EntryOutcome.TRADED, EntryReason.ENTRY)


@given(states, st.booleans(), st.booleans())
def test_judge_entry_calls_traded_and_nothing_else_an_entry(state: IntentState | None, was_sent: bool, is_filled: bool) -> None:
    outcome, reason = judge_entry(state, was_sent=was_sent, is_filled=is_filled)

    assert (outcome is EntryOutcome.TRADED) == (reason is EntryReason.ENTRY)
