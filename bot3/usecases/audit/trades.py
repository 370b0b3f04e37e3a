"""Select the closed trades of another program that can be replayed, as a frame that the learner reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from bot3.errors import DataError
from bot3.learning.replay.groups import SEVERAL_ORDERS
from bot3.ports.foreign_trades import ForeignTrades
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import OrderPattern, Trade, direction
from bot3.usecases.learning.left_out import unlearned_reason

_REASONS_NAMED = 5
_INSTANTS = ("open_date", "close_date", "known_at")
_TRADE_FIELDS = tuple(Trade.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableTrades:
    """Closed trades that can be replayed, as the record's trade frame, sorted by entry.

    Parameters
    ----------
    frame : DataFrame
        Trades with one entry and one exit, and those whose orders are unknown.
    several : DataFrame
        Trades with several entries or exits.
    unused : tuple of (int, str)
        Ids of the other closed trades, and why they are not used.
    """

    frame: pd.DataFrame
    several: pd.DataFrame
    unused: tuple[tuple[int, str], ...]

    @property
    def all(self) -> pd.DataFrame:
        """Return `frame` and `several` as one frame."""
        return pd.concat([self.frame, self.several], ignore_index=True)


def usable_trades(found: ForeignTrades, *, database: str, bins: LeverageBins) -> UsableTrades:
    """Return the closed trades that can be replayed; `open_date` is the time of the first entry fill if that is known and plausible.

    Rows that are not valid trades, and trades with a leverage outside the leverage bins, are not used.

    Parameters
    ----------
    database : str
        Name of the database in messages.

    Raises
    ------
    DataError
        If no trade remains; the text contains the counts and reasons.
    """
    unused = [(row.trade_id, f"impossible: {row.reason}") for row in found.refused if not row.is_open]
    usable: list[Trade] = []
    for trade in found.closed:
        reason = unlearned_reason(trade, bins=bins)
        if reason is None or reason == SEVERAL_ORDERS:
            usable.append(trade)
        else:
            unused.append((trade.trade_id, reason))
    if not usable:
        raise DataError(_nothing_usable(found, unused, database=database))
    single = [trade for trade in usable if trade.order_pattern is not OrderPattern.MULTIPLE]
    several = [trade for trade in usable if trade.order_pattern is OrderPattern.MULTIPLE]
    return UsableTrades(frame=_frame(single, found, bins=bins), several=_frame(several, found, bins=bins), unused=tuple(unused))


def first_entries(usable: UsableTrades, found: ForeignTrades) -> pd.DataFrame:
    """Return all usable trades with the rate of their first entry as `open_rate`.

    For trades with several orders it is the rate of the first entry order; those for which it is unknown are left out.
    """
    firsts = [next((order for order in found.orders.get(trade_id, ()) if order.is_entry), None) for trade_id in usable.several["trade_id"]]
    rates = [np.nan if first is None or first.rate is None else first.rate for first in firsts]
    several = usable.several.assign(open_rate=np.array(rates, dtype=np.float64))
    return pd.concat([usable.frame, several[several["open_rate"].notna()]], ignore_index=True)


def _nothing_usable(found: ForeignTrades, unused: list[tuple[int, str]], *, database: str) -> str:
    counted = f"({len(found.closed)} closed, {len(found.open)} open, {len(found.refused)} impossible)"
    if not unused:
        return f"{database} contains no closed trade to learn from {counted}: let the bot close some, or name another database"
    reasons = "; ".join(f"{n} {reason}" for reason, n in Counter(reason for _, reason in unused).most_common(_REASONS_NAMED))
    return f"{database} contains no closed trade to learn from {counted}: all are left out of learning: {reasons}"


def _frame(trades: Sequence[Trade], found: ForeignTrades, *, bins: LeverageBins) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {name: [getattr(trade, name) for trade in trades] for name in _TRADE_FIELDS}
    columns |= {
        "open_date": [_entered_at(trade, found.first_entry_at(trade.trade_id)) for trade in trades],
        "direction": [direction(is_short=trade.is_short) for trade in trades],
        "leverage_bin": [bins.name_of(trade.leverage) for trade in trades],
        "feeder_id": [feeder_of_enter_tag(trade.enter_tag) for trade in trades],
        "known_at": columns["close_date"],
        "revision": [0] * len(trades),
    }
    frame = pd.DataFrame(columns)
    instants = {name: pd.to_datetime(frame[name], utc=True).dt.as_unit("us") for name in _INSTANTS}
    return frame.assign(**instants).sort_values(["open_date", "trade_id"], ignore_index=True)


def _entered_at(trade: Trade, filled_at: datetime | None) -> datetime:
    if filled_at is None or trade.close_date is None or not trade.open_date <= filled_at <= trade.close_date:
        return trade.open_date
    return filled_at
