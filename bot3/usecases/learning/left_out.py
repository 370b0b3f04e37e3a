"""Closed trades of other programs that learning does not use because of their leverage or their orders, by reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot3.learning.replay.groups import OUTSIDE_BINS_REASON, SEVERAL_ORDERS
from bot3.ports.foreign_trades import ForeignTrades
from bot3.trading.leverage_bins import LeverageBins, is_outside
from bot3.trading.trades import OrderPattern, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedTrades:
    """Trades that were not used, all for the same reason; `trade_ids` are sorted."""

    reason: str
    count: int
    trade_ids: tuple[int, ...]


def left_out_of_learning(found: ForeignTrades, *, bins: LeverageBins) -> tuple[UnusedTrades, ...]:
    """Return the closed trades that learning does not use (`unlearned_reason`), by reason, the most frequent reason first."""
    reasons = ((trade.trade_id, unlearned_reason(trade, bins=bins)) for trade in found.closed)
    return unused_by_reason((trade_id, reason) for trade_id, reason in reasons if reason is not None)


def unlearned_reason(trade: Trade, *, bins: LeverageBins) -> str | None:
    """Return why learning does not use a closed trade of another program: its leverage is outside the bins, or it has several orders.

    Forced exits and missing candles are not checked here; they exclude a trade when it is replayed.
    """
    if is_outside(bins.label_of(trade.leverage)):
        return OUTSIDE_BINS_REASON
    return SEVERAL_ORDERS if trade.order_pattern is OrderPattern.MULTIPLE else None


def unused_by_reason(reasons: Iterable[tuple[int, str]]) -> tuple[UnusedTrades, ...]:
    """Group trades, given as (trade id, reason), by reason; return the most frequent reason first."""
    ids: dict[str, list[int]] = {}
    for trade_id, reason in reasons:
        ids.setdefault(reason, []).append(trade_id)
    found = [UnusedTrades(reason=reason, count=len(own), trade_ids=tuple(sorted(own))) for reason, own in ids.items()]
    return tuple(sorted(found, key=lambda unused: (-unused.count, unused.reason)))
