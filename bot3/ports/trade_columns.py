"""Many closed trades as columns: the same fields as `Trade`, without one object per trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bot3.errors import StoreError
from bot3.market.instants import EPOCH, MICROSECOND, instant_of
from bot3.ports.record import SyncOutcome
from bot3.trading.trades import Trade

INSTANTS = ("open_date", "close_date")
COLUMNS = tuple(f"{field.name}_us" if field.name in INSTANTS else field.name for field in fields(Trade))
"""`Trade`'s fields in their order; an instant is microseconds since 1970 and its name ends in `_us`."""

_KINDS = {field.name: str(field.type) for field in fields(Trade)}
FLOATS = tuple(name for name, kind in _KINDS.items() if kind in {"float", "float | None"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TradeColumns:
    """Closed trades: for each of `COLUMNS` an array of int64, bool, float64 (NaN for a missing value) or object (str, None)."""

    arrays: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.arrays["trade_id"])

    @classmethod
    def of(cls, trades: Sequence[Trade]) -> TradeColumns:
        """Return trades as columns.

        Raises
        ------
        StoreError
            If one is open, or has a time without a zone.
        """
        for trade in trades:
            if trade.is_open or trade.close_date is None:
                raise StoreError(f"{trade.bot} trade {trade.trade_id} is open: the record stores closed trades only")
        return cls(arrays={_stored(name): _array([getattr(trade, name) for trade in trades], name) for name in _KINDS})

    @classmethod
    def joined(cls, first: TradeColumns, second: TradeColumns) -> TradeColumns:
        """Return the rows of `first`, then those of `second`."""
        if not len(second):
            return first
        return cls(arrays={name: np.concatenate([first.arrays[name], second.arrays[name]]) for name in COLUMNS})

    def closed_since(self, at: datetime | None) -> TradeColumns:
        """Return the trades with close_date >= the given time, all for None."""
        if at is None:
            return self
        kept = self.arrays["close_date_us"] >= _microseconds(at)
        return TradeColumns(arrays={name: column[kept] for name, column in self.arrays.items()})

    def keys(self) -> set[tuple[int, datetime]]:
        """Return the keys (trade_id, open_date)."""
        opened = [instant_of(at) for at in self.arrays["open_date_us"].tolist()]
        return set(zip(self.arrays["trade_id"].tolist(), opened, strict=True))


@runtime_checkable
class ColumnReader(Protocol):
    """A `TradeReader` that can return closed trades as columns, which is faster for many trades."""

    def closed_columns(self, *, closed_since: datetime | None) -> TradeColumns:
        """Return the trades of `closed_trades`, in any order."""
        ...


@runtime_checkable
class ColumnRepository(Protocol):
    """A `TradeRepository` that accepts closed trades as columns."""

    def upsert_columns(self, columns: TradeColumns) -> SyncOutcome:
        """Insert or update closed trades as `upsert` does."""
        ...


def _stored(name: str) -> str:
    return f"{name}_us" if name in INSTANTS else name


def _array(values: list[Any], name: str) -> NDArray[Any]:
    if name in INSTANTS:
        return np.array([_microseconds(at) for at in values], dtype="int64")
    if name in FLOATS:
        numbers = np.array(values, dtype="float64")
        # All NaN get the same bits: a NaN has many encodings, and a digest is computed from bits.
        return np.where(np.isnan(numbers), np.nan, numbers)
    kind = {"int": "int64", "bool": "bool"}.get(_KINDS[name], "object")
    return np.array([_text(value) for value in values], dtype=kind)


def _text(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise StoreError(f"a time without a time zone cannot be stored: {at.isoformat()}; pass an aware UTC time")
    return (at - EPOCH) // MICROSECOND
