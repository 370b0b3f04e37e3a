"""Many closed trades as columns: the same facts as `Trade`, without an object for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bot3.errors import StoreError
from bot3.ports.record import SyncOutcome
from bot3.trading.trades import Trade

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

INSTANTS = ("open_date", "close_date")
COLUMNS = tuple(f"{field.name}_us" if field.name in INSTANTS else field.name for field in fields(Trade))
"""`Trade`'s fields in their order; an instant is microseconds since 1970 and its name ends in `_us`."""

_KINDS = {field.name: str(field.type) for field in fields(Trade)}
FLOATS = tuple(name for name, kind in _KINDS.items() if kind in {"float", "float | None"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeColumns:
    """Closed trades: a list for each of `COLUMNS`, of plain str, int, float, bool and None."""

    lists: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.lists["trade_id"])

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
                raise StoreError(f"{trade.bot} trade {trade.trade_id} is open: the record keeps closed trades")
        return cls(lists={_stored(name): _column([getattr(trade, name) for trade in trades], name) for name in _KINDS})

    @classmethod
    def joined(cls, first: TradeColumns, second: TradeColumns) -> TradeColumns:
        """Return the rows of both."""
        return cls(lists={name: [*first.lists[name], *second.lists[name]] for name in COLUMNS})

    def keys(self) -> set[tuple[int, datetime]]:
        """Return the keys (trade_id, open_date)."""
        opened = [_EPOCH + timedelta(microseconds=at) for at in self.lists["open_date_us"]]
        return set(zip(self.lists["trade_id"], opened, strict=True))


@runtime_checkable
class ColumnReader(Protocol):
    """A `TradeReader` that can tell all its closed trades at once."""

    def closed_columns(self) -> TradeColumns:
        """Return what `closed_trades(closed_since=None)` returns, in any order."""
        ...


@runtime_checkable
class ColumnRecord(Protocol):
    """A `TradeRecord` that takes columns."""

    def upsert_columns(self, columns: TradeColumns) -> SyncOutcome:
        """Do what `upsert_trades` does."""
        ...


def plain_floats(values: Sequence[float | None]) -> list[float | None]:
    """Return Python's floats, None for what is missing or no number."""
    numbers = np.array(values, dtype="float64")
    found: list[float | None] = numbers.tolist()
    gone = np.flatnonzero(np.isnan(numbers)).tolist()
    for place in gone:
        found[place] = None
    return found


def _stored(name: str) -> str:
    return f"{name}_us" if name in INSTANTS else name


def _column(values: list[Any], name: str) -> list[Any]:
    if name in INSTANTS:
        return [_microseconds(at) for at in values]
    if name in FLOATS:
        return list(plain_floats(values))
    kinds: dict[str, Callable[[Any], Any]] = {"int": int, "bool": bool}
    plain = kinds.get(_KINDS[name], _text)
    return [plain(value) for value in values]


def _text(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise StoreError(f"a time without a time zone cannot be stored: {at.isoformat()}; pass an aware UTC time")
    return (at - _EPOCH) // _MICROSECOND
