"""A query's rows as columns: the database packs each column into one value, so that no object is made for each row and field."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
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
"""Stands for what is no time."""

_DOUBLES = "bot3_doubles"
_SINCE_2000_US = 946_684_800_000_000
"""PostgreSQL counts its microseconds from 2000-01-01."""

Columns = dict[str, NDArray[Any]]


def read_columns(connection: Connection, query: sa.Select[Any]) -> Columns:
    """Return a query's columns by name, all in one order, which is the database's own.

    Returns
    -------
    dict
        By the type of the column that was selected: Double is float64 (NaN for what is missing or no number), Integer int64, Boolean bool
        (False for what is missing), String object (str, or None), and DateTime without a zone int64, microseconds since 1970 (`NO_TIME`
        for what is no such time; on SQLite, where any text may stand, for all of a column that holds one).

    Raises
    ------
    StoreError
        If an Integer column holds what is no whole number.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    columns = _of_file(connection, query) if is_sqlite else _of_server(connection, query)
    if len({len(column) for column in columns.values()}) > 1:
        raise StoreError(f"one of {', '.join(columns)} lacks a value that it must have")
    return columns


def columns_frame(columns: Columns) -> pd.DataFrame:
    """Return columns as a frame, as `read_frame` would: `x_us` becomes x, datetime64[us, UTC]."""
    return pd.DataFrame(dict(starmap(_series, columns.items())), copy=False)


def _series(name: str, column: NDArray[Any]) -> tuple[str, pd.Series[Any]]:
    if name.endswith("_us"):
        return name.removesuffix("_us"), pd.Series(column.view("datetime64[us]")).dt.tz_localize("UTC")
    return name, pd.Series(column, dtype="str" if column.dtype.kind == "O" else None)


def _of_server(connection: Connection, query: sa.Select[Any]) -> Columns:
    rows = query.subquery()
    values = connection.execute(sa.select(*(_packed(column) for column in rows.c))).one()
    return {column.name: _unpacked(column, value) for column, value in zip(rows.c, values, strict=True)}


def _packed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the aggregate that packs a column: binary numbers one after the other, texts as a JSON array."""
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
        sent = sa.func.float8send(sa.func.coalesce(sa.cast(column, sa.Double), sa.literal_column("'NaN'::float8")))
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
        # The two ends are PostgreSQL's infinities.
        is_time = (sent != NO_TIME) & (sent < np.iinfo(np.int64).max - _SINCE_2000_US)
        return np.where(is_time, sent + _SINCE_2000_US, NO_TIME)
    kind = "i8" if isinstance(column.type, sa.Integer) else "f8"
    return np.frombuffer(packed, dtype=f">{kind}").astype(kind)


def _of_file(connection: Connection, query: sa.Select[Any]) -> Columns:
    rows = query.subquery()
    doubles = [column for column in rows.c if isinstance(column.type, sa.Double)]
    others = [column for column in rows.c if not isinstance(column.type, sa.Double)]
    driver: Any = connection.connection.driver_connection
    driver.create_aggregate(_DOUBLES, len(doubles), partial(_Doubles, len(doubles)))
    packed, *texts = connection.execute(
        sa.select(sa.func.bot3_doubles(*doubles), *(sa.func.json_group_array(_told(column)) for column in others))
    ).one()
    numbers = np.frombuffer(packed or b"", dtype="f8").reshape(-1, len(doubles)) if doubles else np.empty((0, 0))
    found: Columns = dict(zip((column.name for column in doubles), np.ascontiguousarray(numbers.T), strict=True))
    found |= {column.name: _parsed(column, json.loads(text)) for column, text in zip(others, texts, strict=True)}
    return {column.name: found[column.name] for column in rows.c}


def _told(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.String) else sa.type_coerce(column, sa.Text)


def _parsed(column: sa.ColumnElement[Any], values: Sequence[Any]) -> NDArray[Any]:
    if isinstance(column.type, sa.String):
        return np.array(values, dtype="object")
    if isinstance(column.type, sa.Boolean):
        return np.array(values, dtype="bool")
    if isinstance(column.type, sa.DateTime):
        return _times(values)
    try:
        return np.array(values, dtype="int64")
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"the column {column.key} holds what is no whole number") from error


class _Doubles:
    """An aggregate of SQLite: the doubles of all rows, row by row; NaN for what is none."""

    def __init__(self, count: int) -> None:
        self._pack = struct.Struct(f"{count}d").pack
        self._rows: list[bytes] = []

    def step(self, *values: Any) -> None:
        """Take a row."""
        try:
            self._rows.append(self._pack(*values))
        except struct.error:
            self._rows.append(self._pack(*map(_number, values)))

    def finalize(self) -> bytes:
        """Return all rows."""
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
    """Say whether a time is as freqtrade writes it, without a zone: numpy takes other texts too, "now" among them."""
    return (
        isinstance(value, str)
        and value[10:11] == " "
        and (len(value) == 19 or (len(value) == 26 and value[19] == "." and value[20:].isdigit()))
    )
