"""Closed trades of other programs that nothing is learned from, by reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot3.learning.replay.groups import OUTSIDE_BINS_REASON, SEVERAL_ORDERS
from bot3.ports.foreign_trades import ForeignTrades
from bot3.trading.leverage_bins import LeverageBins, is_outside
from bot3.trading.trades import OrderPattern, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedTrades:
    """Trades that could not be used for one reason."""

    reason: str
    count: int
    trade_ids: tuple[int, ...]


def left_out_of_learning(found: ForeignTrades, *, bins: LeverageBins) -> tuple[UnusedTrades, ...]:
    """Return the closed trades that nothing is learned from, by reason, the most frequent first."""
    reasons = ((trade.trade_id, unlearned_reason(trade, bins=bins)) for trade in found.closed)
    return unused_by_reason((trade_id, reason) for trade_id, reason in reasons if reason is not None)


def unlearned_reason(trade: Trade, *, bins: LeverageBins) -> str | None:
    """Return why a closed trade of another program is left out of learning; None if it is learned from."""
    if is_outside(bins.label_of(trade.leverage)):
        return OUTSIDE_BINS_REASON
    return SEVERAL_ORDERS if trade.order_pattern is OrderPattern.MULTIPLE else None


def unused_by_reason(reasons: Iterable[tuple[int, str]]) -> tuple[UnusedTrades, ...]:
    """Return trades (id, reason) by reason, the most frequent first."""
    ids: dict[str, list[int]] = {}
    for trade_id, reason in reasons:
        ids.setdefault(reason, []).append(trade_id)
    found = [UnusedTrades(reason=reason, count=len(own), trade_ids=tuple(sorted(own))) for reason, own in ids.items()]
    return tuple(sorted(found, key=lambda unused: (-unused.count, unused.reason)))
