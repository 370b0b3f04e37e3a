"""Read a query's rows as columns: the database packs each column into one value, so that no object is created per row and field."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.errors import StoreError

NO_TIME = np.iinfo(np.int64).min
"""Value of an invalid or missing time."""

_PACKED = "bot3_packed"
_KINDS = {"d": "f8", "q": "i8", "?": "?"}
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?")
_REAL = 700
"""Type code of `real` in PostgreSQL's protocol."""
_SINCE_2000_US = 946_684_800_000_000
"""PostgreSQL counts its microseconds from 2000-01-01."""

Columns = dict[str, NDArray[Any]]


def read_columns(connection: Connection, query: sa.Select[Any]) -> Columns:
    """Return a query's columns by name; all have the same order of rows, which the database chooses.

    Returns
    -------
    dict
        By the type of the selected column: Double is float64 (NaN for a missing or invalid number), Integer int64, Boolean bool (False if
        missing), String object (str, or None), and DateTime without a zone int64, microseconds since 1970 (`NO_TIME` for an invalid or
        missing time; on SQLite, where a column accepts any text, one such time makes the whole column `NO_TIME`).

    Raises
    ------
    StoreError
        If an Integer column lacks a value, or contains one that is not a whole number.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    columns = _of_file(connection, query) if is_sqlite else _of_server(connection, query)
    if len({len(column) for column in columns.values()}) > 1:
        raise StoreError(f"one of {', '.join(columns)} lacks a required value: correct the rows, or restore a backup")
    return columns


def columns_frame(columns: Columns) -> pd.DataFrame:
    """Return columns as a frame with the types of `read_frame`: `x_us` becomes x, datetime64[us, UTC] (NaT for `NO_TIME`)."""
    return pd.DataFrame(dict(starmap(_series, columns.items())), copy=False)


def _series(name: str, column: NDArray[Any]) -> tuple[str, pd.Series[Any]]:
    if name.endswith("_us"):
        return name.removesuffix("_us"), pd.Series(column.view("datetime64[us]")).dt.tz_localize("UTC")
    return name, pd.Series(column, dtype="str" if column.dtype.kind == "O" else None)


def _of_server(connection: Connection, query: sa.Select[Any]) -> Columns:
    rows = query.subquery()
    reals = _reals(connection, rows)
    with _in_bytes(connection):
        values = connection.execute(sa.select(*(_packed(column, is_real=column.name in reals) for column in rows.c))).one()
    return {column.name: _unpacked(column, value) for column, value in zip(rows.c, values, strict=True)}


def _reals(connection: Connection, rows: sa.Subquery) -> set[str]:
    """Return the names of the columns that PostgreSQL stores as 32-bit numbers, which the types declared in the query do not show."""
    if not any(isinstance(column.type, sa.Double) for column in rows.c):
        return set()
    described: Any = connection.execute(sa.select(rows).limit(0)).cursor
    return {column.name for column in described.description if column.type_code == _REAL}


@contextmanager
def _in_bytes(connection: Connection) -> Iterator[None]:
    """Request results in binary format instead of texts of twice the length."""
    from psycopg import Cursor  # noqa: PLC0415  # homes on SQLite need no server driver
    from psycopg.pq import Format  # noqa: PLC0415  # homes on SQLite need no server's driver

    def cursor_of(driver: Any, **options: Any) -> Cursor[Any]:
        cursor: Cursor[Any] = Cursor(driver, **options)
        cursor.format = Format.BINARY
        return cursor

    driver: Any = connection.connection.driver_connection
    before, driver.cursor_factory = driver.cursor_factory, cursor_of
    try:
        yield
    finally:
        driver.cursor_factory = before


def _packed(column: sa.ColumnElement[Any], *, is_real: bool) -> sa.ColumnElement[Any]:
    """Return the aggregate that packs a column: binary numbers concatenated, texts as a JSON array."""
    if isinstance(column.type, sa.String):
        return sa.cast(sa.func.json_agg(sa.cast(column, sa.Text)), sa.Text)
    if isinstance(column.type, sa.Boolean):
        sent: sa.ColumnElement[Any] = sa.case((column, _bytes(r"\x01")), else_=_bytes(r"\x00"))
    elif isinstance(column.type, sa.DateTime):
        is_plain = sa.func.pg_typeof(column) == sa.literal_column("'timestamp'::regtype")
        plain = sa.func.timestamp_send(sa.cast(column, sa.DateTime))
        sent = sa.case((sa.and_(is_plain, column.is_not(None)), plain), else_=sa.func.int8send(sa.literal_column(f"({NO_TIME})::bigint")))
    elif isinstance(column.type, sa.Integer):
        sent = sa.func.int8send(sa.cast(column, sa.BigInteger))
    else:
        # Cast through text, as in a read row by row: a 32-bit 0.1 cast directly to 64 bits would be 0.10000000149011612.
        number = sa.cast(column, sa.Text) if is_real else column
        sent = sa.func.float8send(sa.func.coalesce(sa.cast(number, sa.Double), sa.literal_column("'NaN'::float8")))
    return sa.func.string_agg(sent, _bytes(""))


def _bytes(text: str) -> sa.ColumnElement[Any]:
    return sa.literal_column(f"'{text}'::bytea")


def _unpacked(column: sa.ColumnElement[Any], value: Any) -> NDArray[Any]:
    if isinstance(column.type, sa.String):
        return np.array(json.loads(value or "[]"), dtype="object")
    packed = value or b""
    if isinstance(column.type, sa.Boolean):
        return np.frombuffer(packed, dtype="?")
    if isinstance(column.type, sa.DateTime):
        sent = np.frombuffer(packed, dtype=">i8").astype("int64")
        # The smallest and the largest values are PostgreSQL's infinities.
        is_time = (sent != NO_TIME) & (sent < np.iinfo(np.int64).max - _SINCE_2000_US)
        return np.where(is_time, sent + _SINCE_2000_US, NO_TIME)
    kind = "i8" if isinstance(column.type, sa.Integer) else "f8"
    return np.frombuffer(packed, dtype=f">{kind}").astype(kind)


def _of_file(connection: Connection, query: sa.Select[Any]) -> Columns:
    rows = query.subquery()
    numbers = {column.name: column for column in rows.c if _format(column)}
    others = [column for column in rows.c if column.name not in numbers]
    formats = {name: _format(column) for name, column in numbers.items()}
    driver: Any = connection.connection.driver_connection
    driver.create_aggregate(_PACKED, len(numbers), partial(_Packed, "".join(formats.values())))
    packed, *texts = connection.execute(
        sa.select(sa.Function(_PACKED, *numbers.values()), *(sa.func.json_group_array(_told(column)) for column in others))
    ).one()
    unpacked = np.frombuffer(packed or b"", dtype=np.dtype([(name, _KINDS[kind]) for name, kind in formats.items()]))
    found = {name: np.ascontiguousarray(unpacked[name]) for name in numbers}
    found |= {column.name: _parsed(column, json.loads(text)) for column, text in zip(others, texts, strict=True)}
    return {column.name: found[column.name] for column in rows.c}


def _format(column: sa.ColumnElement[Any]) -> str:
    """Return the `struct` format of a column of numbers or booleans; an empty text for texts and times."""
    formats = ((sa.Double, "d"), (sa.Integer, "q"), (sa.Boolean, "?"))
    return next((kind for of, kind in formats if isinstance(column.type, of)), "")


def _told(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.String) else sa.type_coerce(column, sa.Text)


def _parsed(column: sa.ColumnElement[Any], values: Sequence[Any]) -> NDArray[Any]:
    return np.array(values, dtype="object") if isinstance(column.type, sa.String) else _times(values)


class _Packed:
    """An aggregate of SQLite that packs the numbers of all rows, row by row; NaN for an invalid double."""

    def __init__(self, formats: str) -> None:
        self._formats = formats
        self._pack = struct.Struct(f"={formats}").pack
        self._rows: list[bytes] = []

    def step(self, *values: Any) -> None:
        """Append a row. Raises struct.error for an invalid integer."""
        try:
            self._rows.append(self._pack(*values))
        except struct.error:
            told = (_number(value) if kind == "d" else value for value, kind in zip(values, self._formats, strict=True))
            self._rows.append(self._pack(*told))

    def finalize(self) -> bytes:
        """Return all rows as bytes."""
        return b"".join(self._rows)


def _number(value: Any) -> float:
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def _times(values: Sequence[Any]) -> NDArray[np.int64]:
    if not all(map(_is_stamp, values)):
        return np.full(len(values), NO_TIME, dtype="int64")
    try:
        return np.array(values, dtype="datetime64[us]").astype("int64")
    except ValueError:
        return np.full(len(values), NO_TIME, dtype="int64")


def _is_stamp(value: Any) -> bool:
    """Return whether a time has freqtrade's format, without a zone: numpy parses others too, such as "now" and "2025-03-03 12:00+05"."""
    return isinstance(value, str) and _STAMP.fullmatch(value) is not None
