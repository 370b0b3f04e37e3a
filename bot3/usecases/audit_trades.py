"""Which trades of a foreign database can be learned from, and in which form the learner takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from bot3.errors import DataError
from bot3.learning.groups import ABOVE_BINS_REASON, is_learned
from bot3.ports.foreign_trades import ForeignTrades, OrderShape
from bot3.trading.leverage_bins import leverage_bin, recorded_bin
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import Trade, direction
from bot3.usecases.audit_report import UnusedTrades, unused_by_reason

_REASONS_NAMED = 5
_INSTANTS = ("open_date", "close_date", "known_at")
_TRADE_FIELDS = tuple(Trade.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableTrades:
    """Trades that open and close rate tell whole, as the record's trade frame by entry; and the others with their reasons."""

    frame: pd.DataFrame
    unused: tuple[tuple[int, str], ...]


def usable_trades(found: ForeignTrades, *, database: str) -> UsableTrades:
    """Return what can be replayed. The entry is the first fill where orders tell it, else the trade's open_date.

    Raises
    ------
    DataError
        If no trade is left; the text counts what there is.
    """
    unused = [(row.trade_id, f"impossible: {row.reason}") for row in found.refused if not row.is_open]
    usable = []
    for trade in found.closed:
        reason = unlearned_reason(trade, found.shapes.get(trade.trade_id))
        if reason is None:
            usable.append(trade)
        else:
            unused.append((trade.trade_id, reason))
    if not usable:
        raise DataError(_nothing_usable(found, unused, database=database))
    frame = _frame(usable, found.shapes).sort_values(["open_date", "trade_id"], ignore_index=True)
    return UsableTrades(frame=frame, unused=tuple(unused))


def left_out_of_learning(found: ForeignTrades) -> tuple[UnusedTrades, ...]:
    """Return the closed trades that nothing is learned from, by reason, the most frequent first."""
    reasons = ((trade.trade_id, unlearned_reason(trade, found.shapes.get(trade.trade_id))) for trade in found.closed)
    return unused_by_reason((trade_id, reason) for trade_id, reason in reasons if reason is not None)


def unlearned_reason(trade: Trade, shape: OrderShape | None) -> str | None:
    """Say why a closed trade of another program is left out of learning; None if it is learned from."""
    if shape is not None and not shape.is_single:
        return "several entries or exits (their rates do not tell the whole trade)"
    return None if is_learned(recorded_bin(trade.leverage)) else ABOVE_BINS_REASON


def _nothing_usable(found: ForeignTrades, unused: list[tuple[int, str]], *, database: str) -> str:
    counted = f"({len(found.closed)} closed, {len(found.open)} open, {len(found.refused)} impossible)"
    if not unused:
        return f"{database} holds no closed trade to learn from {counted}: let the bot close some, or name another database"
    reasons = "; ".join(f"{n} {reason}" for reason, n in Counter(reason for _, reason in unused).most_common(_REASONS_NAMED))
    return f"{database} holds no closed trade to learn from {counted}: all are left out of learning: {reasons}"


def _frame(trades: Sequence[Trade], shapes: Mapping[int, OrderShape]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {name: [getattr(trade, name) for trade in trades] for name in _TRADE_FIELDS}
    columns |= {
        "open_date": [_entered_at(trade, shapes.get(trade.trade_id)) for trade in trades],
        "direction": [direction(is_short=trade.is_short) for trade in trades],
        "leverage_bin": [leverage_bin(trade.leverage) for trade in trades],
        "feeder_id": [feeder_of_enter_tag(trade.enter_tag) for trade in trades],
        "known_at": columns["close_date"],
        "revision": [0] * len(trades),
    }
    frame = pd.DataFrame(columns)
    instants = {name: pd.to_datetime(frame[name], utc=True).dt.as_unit("us") for name in _INSTANTS}
    return frame.assign(**instants)


def _entered_at(trade: Trade, shape: OrderShape | None) -> datetime:
    filled_at = None if shape is None else shape.first_entry_at
    if filled_at is None or trade.close_date is None or not trade.open_date <= filled_at <= trade.close_date:
        return trade.open_date
    return filled_at
