"""Trades of a bot that is not ours: read as they are, with what could not be used and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot3.ports.trades import TradeReader
from bot3.trading.trades import Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTrade:
    """A row that cannot be a trade: what is impossible about it, the same words for the same fault, and the values found."""

    trade_id: int
    pair: str
    reason: str
    detail: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShape:
    """How a trade was entered and left: orders that were filled, and when its first entry was (None where unknown)."""

    entries: int
    exits: int
    first_entry_at: datetime | None

    @property
    def is_single(self) -> bool:
        """Say whether it was entered once and left at most once: only then do open and close rate tell the whole trade."""
        return self.entries <= 1 and self.exits <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTrades:
    """All trades of a database at one instant.

    `closed` are by close_date, `open` by open_date. `shapes` is by trade id; a trade without orders has none.
    """

    closed: tuple[Trade, ...]
    open: tuple[Trade, ...]
    refused: tuple[RefusedTrade, ...]
    shapes: Mapping[int, OrderShape]


class ForeignTradeReader(TradeReader, Protocol):
    """A `TradeReader` on a database of another program, which is never written. What it refuses is not in its trades nor in its counts."""

    def refused_trades(self) -> tuple[RefusedTrade, ...]:
        """Return the rows that cannot be trades, by id."""
        ...

    def read_all(self) -> ForeignTrades:
        """Return all trades as of one instant."""
        ...
