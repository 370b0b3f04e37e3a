"""Convert values to and from a database (times, JSON, frames), and insert many rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from bot3.errors import StoreError
from bot3.market.instants import EPOCH, MICROSECOND, instant_of

_PLAIN = frozenset({str, int, float, bool, type(None)})


def to_us(at: datetime) -> int:
    """Return microseconds since 1970. Raises StoreError for a time without a time zone."""
    if at.tzinfo is None:
        raise StoreError(f"a time without a time zone cannot be stored: {at.isoformat()}; pass an aware UTC time")
    return (at - EPOCH) // MICROSECOND


def maybe_us(at: datetime | None) -> int | None:
    """Return a time as microseconds since 1970; None for None. Raises StoreError for a time without a time zone."""
    return None if at is None else to_us(at)


def from_us(at_us: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return instant_of(at_us)


def stored_values(row: Any) -> dict[str, Any]:
    """Return a row's values by name: the column `x_us` becomes the time x, or x with the stored value if that is not a valid time."""
    mapping: Mapping[str, Any] = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    return {name.removesuffix("_us"): _stored_at(value) if name.endswith("_us") else value for name, value in mapping.items()}


def _stored_at(at_us: Any) -> Any:
    try:
        return from_us(at_us)
    except (TypeError, OverflowError):
        return at_us


def maybe_at(at_us: int | None) -> datetime | None:
    """Return microseconds since 1970 as an aware UTC time; None for None."""
    return None if at_us is None else from_us(at_us)


def to_naive(at: datetime | None) -> datetime | None:
    """Return an aware time as a naive UTC time, as freqtrade stores it; None for None. Raises StoreError for a naive time."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise StoreError(f"a time without a time zone cannot be stored: {at.isoformat()}; pass an aware UTC time")
    return at.astimezone(UTC).replace(tzinfo=None)


def from_naive(at: datetime | None) -> datetime | None:
    """Return a naive UTC time, as freqtrade stores it, as an aware one; None for None."""
    return None if at is None else at.replace(tzinfo=UTC)


def to_json(value: object) -> str:
    """Return compact JSON with sorted keys, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Return a value that every driver accepts: microseconds since 1970 for a time, an enum member's value, Python's number for numpy's."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, Enum):
        return value.value
    return value.item() if isinstance(value, np.generic) else value


def stored_name(name: str, instants: Collection[str]) -> str:
    """Return the column name of a field: an instant's name ends in `_us`."""
    return f"{name}_us" if name in instants else name


def series_us(times: pd.Series[Any]) -> list[int | None]:
    """Return the microseconds since 1970 of a column of times; None for NaT. Raises StoreError if the column has no time zone."""
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise StoreError(f"column {times.name} must be datetime64[us, UTC], was {times.dtype}")
    numbers: list[int] = times.dt.as_unit("us").astype("int64").tolist()
    missing: list[bool] = times.isna().tolist()
    return [None if gone else number for number, gone in zip(numbers, missing, strict=True)]


def frame_rows(frame: pd.DataFrame, columns: Sequence[str], *, revision: int | None = None) -> list[tuple[Any, ...]]:
    """Return a frame's rows in the order of a table's columns: `x_us` is read from x, `revision` from the argument, NaN becomes None.

    Raises StoreError if the frame lacks a column.
    """
    return list(zip(*(_values(frame, name, revision=revision) for name in columns), strict=True))


def _values(frame: pd.DataFrame, name: str, *, revision: int | None) -> list[Any]:
    if name == "revision":
        return [revision] * len(frame)
    source = name.removesuffix("_us")
    if source not in frame.columns:
        raise StoreError(f"the frame lacks the column {source}: there are {', '.join(map(str, frame.columns))}")
    column = frame[source]
    if name.endswith("_us"):
        return series_us(column)
    values: list[Any] = column.tolist()
    if not column.hasnans:
        return values
    missing: list[bool] = column.isna().tolist()
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def insert_ignore(connection: Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert rows, skipping each one that violates a unique constraint; return the number of inserted rows."""
    # Returned rows are counted: PostgreSQL's driver reports no row count for an insert with a generated key.
    insert = _insert(connection.dialect.name, table).on_conflict_do_nothing().returning(sa.literal(1))
    return sum(len(connection.execute(insert, dict(row)).all()) for row in rows)


def upsert(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or update the row with the same key."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(row)), dict(row))


# Statements are built once, because building one costs more than executing it.
@cache
def _upsert(dialect: str, table: sa.Table, names: tuple[str, ...]) -> sa.Insert:
    insert = _insert(dialect, table)
    key = [column.name for column in table.primary_key.columns]
    return insert.on_conflict_do_update(index_elements=key, set_={name: insert.excluded[name] for name in names if name not in key})


def _insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def bulk_insert(
    connection: Connection, table: sa.Table, rows: Iterable[tuple[Any, ...]], *, columns: Sequence[str], replaces: bool, batch: int = 500
) -> int:
    """Insert many rows through the driver's own executemany; a row whose key exists is replaced if `replaces` is true, else skipped.

    Return the number of inserted or replaced rows.

    Parameters
    ----------
    rows : iterable of tuple
        Driver values, in the order of `columns`.
    """
    text = _insert_text(connection, table, columns=columns, replaces=replaces)
    done, left = 0, iter(rows)
    while taken := list(islice(left, batch)):
        done += connection.exec_driver_sql(text, taken).rowcount
    return done


def _insert_text(connection: Connection, table: sa.Table, *, columns: Sequence[str], replaces: bool) -> str:
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    key = [column.name for column in table.primary_key.columns]
    changed = [name for name in columns if name not in key]
    action = f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changed)}" if replaces else "DO NOTHING"
    target = f"({', '.join(key)}) " if replaces else ""
    marks = ", ".join([mark] * len(columns))
    # Names come only from the table definitions of this package, never from user input.
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT {target}{action}"  # noqa: S608


def read_frame(connection: Connection, query: sa.Select[Any]) -> pd.DataFrame:
    """Return a query's rows as a frame with the types of its columns: `x_us` becomes x, datetime64[us, UTC].

    Integers are int64, or Int64 if one is missing. The driver's rows are used directly: result processing by SQLAlchemy would cost more
    than the query.
    """
    result = connection.execute(query)
    cursor = result.cursor
    rows = _fetched(connection, cursor) if cursor is not None else []
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(query.selected_columns)
    return pd.DataFrame(dict(map(_typed, query.selected_columns, columns)))


def _fetched(connection: Connection, cursor: Any) -> list[Any]:
    """Fetch all rows of a driver's cursor; wrap its exceptions as SQLAlchemy does, so that `translated` handles them."""
    errors: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        rows: list[Any] = cursor.fetchall()
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=connection.dialect) from error
    return rows


def _typed(column: Any, values: Sequence[Any]) -> tuple[str, pd.Series[Any]]:
    name = str(column.name)
    if name.endswith("_us"):
        return name.removesuffix("_us"), _times(values)
    if isinstance(column.type, sa.DateTime):
        return name, pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601").dt.as_unit("us")
    return name, pd.Series(values, dtype=_dtype(column, values))


def _dtype(column: Any, values: Sequence[Any]) -> Any:
    if isinstance(column.type, sa.Integer):
        return "Int64" if None in values else "int64"
    kinds = ((sa.Boolean, "bool"), (sa.Double, "float64"), (sa.String, "str"))
    return next((dtype for kind, dtype in kinds if isinstance(column.type, kind)), "object")


def _times(values: Sequence[Any]) -> pd.Series[Any]:
    numbers = pd.Series(values, dtype="Int64") if None in values else pd.Series(values, dtype="int64")
    return pd.to_datetime(numbers, unit="us", utc=True).dt.as_unit("us")
