"""Trades of a bot of another program, and the rows that cannot be used as trades, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTrade:
    """A row that is not used as a trade.

    `reason` is the same text for all rows with the same fault, so that they can be counted; `detail` contains the values found, or is
    empty.
    """

    trade_id: int
    pair: str
    reason: str
    detail: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledOrder:
    """A filled order of a trade.

    Parameters
    ----------
    is_entry : bool
        True if it increased the position, false if it reduced it.
    rate : float or None
        Average rate of its fills, quote per base; None if the source has no rate above 0.
    amount : float
        Amount filled in base currency; fees charged in base are deducted if the source states them.
    filled_at : datetime or None
        Instant of the last fill; None if unknown.
    """

    is_entry: bool
    rate: float | None
    amount: float
    filled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTrades:
    """All trades of a database or result file at one instant, and the rows that cannot be used as trades.

    `closed` are sorted by close_date, `open` by open_date. `orders` are the filled orders by trade id, in the order in which they were
    placed; a trade whose filled orders the source does not contain has no entry.
    """

    closed: tuple[Trade, ...]
    open: tuple[Trade, ...]
    refused: tuple[RefusedTrade, ...]
    orders: Mapping[int, tuple[FilledOrder, ...]]

    def first_entry_at(self, trade_id: int) -> datetime | None:
        """Return the earliest time at which an entry order of a trade was filled; None if the source contains none."""
        filled = (order.filled_at for order in self.orders.get(trade_id, ()) if order.is_entry)
        return min((at for at in filled if at is not None), default=None)


class ForeignTradeSource(Protocol):
    """A source of trades of another program: a database, or the file of a backtest."""

    def read_all(self) -> ForeignTrades:
        """Return all trades as of one instant."""
        ...


class ForeignTradeReader(TradeReader, ForeignTradeSource, Protocol):
    """A `TradeReader` of another program's database, which is never written.

    Rows that cannot be used as trades are neither in its trades nor in its counts.
    """

    @property
    def run_mode(self) -> RunMode:
        """Return the mode of all its trades."""
        ...

    def refused_trades(self) -> tuple[RefusedTrade, ...]:
        """Return the rows that are not used as trades, sorted by id."""
        ...
