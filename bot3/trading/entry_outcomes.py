"""Outcome of a decision to enter, from the state of its order and its fills: traded, not traded, or pending."""

from __future__ import annotations

from enum import StrEnum

from bot3.trading.orders import IntentState


class EntryOutcome(StrEnum):
    """Outcome of a decision to enter."""

    TRADED = "intent"
    NOT_TRADED = "not_traded"
    PENDING = "pending"


class EntryReason(StrEnum):
    """Reason of the outcome of a decision to enter."""

    ENTRY = "entry"  # the only reason with the outcome traded
    NO_INTENT = "no_intent"  # the process ended before it stored the intent
    NOT_SENT = "not_sent"  # the intent was stored, but never sent to the exchange
    NO_ORDER = "no_order"  # the exchange was busy, or the order does not exist there
    ORDER_REJECTED = "order_rejected"
    ORDER_CANCELED = "order_canceled"
    ORDER_OPEN = "order_open"
    UNANSWERED = "unanswered"


_UNFILLED = {
    IntentState.PLANNED: (EntryOutcome.NOT_TRADED, EntryReason.NOT_SENT),
    IntentState.SENT: (EntryOutcome.PENDING, EntryReason.UNANSWERED),
    IntentState.ACKED: (EntryOutcome.PENDING, EntryReason.ORDER_OPEN),
    IntentState.DONE: (EntryOutcome.TRADED, EntryReason.ENTRY),
    IntentState.CANCELED: (EntryOutcome.NOT_TRADED, EntryReason.ORDER_CANCELED),
    IntentState.REJECTED: (EntryOutcome.NOT_TRADED, EntryReason.ORDER_REJECTED),
    IntentState.DEAD: (EntryOutcome.NOT_TRADED, EntryReason.NO_ORDER),
}


def judge_entry(state: IntentState | None, *, was_sent: bool, is_filled: bool) -> tuple[EntryOutcome, EntryReason]:
    """Return the outcome of a decision to enter, and its reason.

    Parameters
    ----------
    state : IntentState or None
        State of the intent of its newest attempt; None if no intent was stored.
    was_sent : bool
        Whether sending the order to the exchange was begun.
    is_filled : bool
        Whether a fill of it is stored: then it was traded, whatever the state of its intent.
    """
    if is_filled:
        return EntryOutcome.TRADED, EntryReason.ENTRY
    if state is None:
        return EntryOutcome.NOT_TRADED, EntryReason.NO_INTENT
    if state is IntentState.DEAD and not was_sent:
        return EntryOutcome.NOT_TRADED, EntryReason.NOT_SENT
    return _UNFILLED[state]
