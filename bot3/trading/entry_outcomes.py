"""Outcome of a decision to enter, derived from the status of its order: traded, not traded, or pending."""

from __future__ import annotations

from enum import StrEnum

from bot3.trading.orders import IntentState


class EntryOutcome(StrEnum):
    """Outcome of a decision to enter."""

    TRADED = "intent"
    NOT_TRADED = "not_traded"
    PENDING = "pending"


class EntryReason(StrEnum):
    """Reason of the outcome."""

    ENTRY = "entry"  # the only reason with the outcome traded
    NO_INTENT = "no_intent"  # the process ended between decision and journal
    NOT_SENT = "not_sent"  # journalled, never sent to the exchange
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
        State of its newest intent; None if none was journalled.
    was_sent : bool
        Whether the order was about to be sent to the exchange.
    is_filled : bool
        Whether a fill of it is booked: then it was traded, in any state of its order.
    """
    if is_filled:
        return EntryOutcome.TRADED, EntryReason.ENTRY
    if state is None:
        return EntryOutcome.NOT_TRADED, EntryReason.NO_INTENT
    if state is IntentState.DEAD and not was_sent:
        return EntryOutcome.NOT_TRADED, EntryReason.NOT_SENT
    return _UNFILLED[state]
