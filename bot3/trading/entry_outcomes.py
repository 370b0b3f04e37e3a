"""What became of a decision to enter, told from its order: traded, not traded, or not known yet."""

from __future__ import annotations

from enum import StrEnum

from bot3.trading.orders import IntentState


class EntryOutcome(StrEnum):
    """Whether a decision to enter was traded."""

    TRADED = "intent"
    NOT_TRADED = "not_traded"
    PENDING = "pending"


class EntryReason(StrEnum):
    """Why it was or was not."""

    ENTRY = "entry"  # the only one that was traded
    NO_INTENT = "no_intent"  # the process ended between decision and journal
    NOT_SENT = "not_sent"  # journalled, never handed to the exchange
    NO_ORDER = "no_order"  # the exchange was busy, or knows no such order
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
    """Return what became of a decision to enter.

    Parameters
    ----------
    state : IntentState or None
        Of its newest order; None if none was journalled.
    was_sent : bool
        The order was about to leave for the exchange.
    is_filled : bool
        A fill of it is booked: it was traded, whatever else its order is.
    """
    if is_filled:
        return EntryOutcome.TRADED, EntryReason.ENTRY
    if state is None:
        return EntryOutcome.NOT_TRADED, EntryReason.NO_INTENT
    if state is IntentState.DEAD and not was_sent:
        return EntryOutcome.NOT_TRADED, EntryReason.NOT_SENT
    return _UNFILLED[state]
