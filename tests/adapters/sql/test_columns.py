"""Columns of a SQLite file, read at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.columns import NO_TIME, columns_frame, read_columns
from bot3.adapters.sql.rows import read_frame
from bot3.errors import StoreError

THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("number", sa.Integer),
    sa.Column("ratio", sa.Double),
    sa.Column("is_on", sa.Boolean),
    sa.Column("name", sa.String),
    sa.Column("at", sa.DateTime),
    sa.Column("seen_us", sa.BigInteger),
)
STAMP = "2026-01-05 12:00:00.250000"
STAMP_US = 1_767_614_400_250_000


@pytest.fixture
def connection() -> Iterator[Connection]:
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE things (number, ratio, is_on, name, at, seen_us)")
        yield connection


def insert(connection: Connection, *rows: tuple[object, ...]) -> None:
    connection.exec_driver_sql("INSERT INTO things VALUES (?, ?, ?, ?, ?, ?)", list(rows))


def test_read_columns_given_rows_then_each_has_the_type_of_its_column(connection: Connection) -> None:
    insert(connection, (1, 0.5, 1, "a", STAMP, 7), (-(2**40), None, 0, None, "2026-01-05 12:00:01", -9))

    found = read_columns(connection, sa.select(THINGS))

    assert list(found) == ["number", "ratio", "is_on", "name", "at", "seen_us"]
    assert {name: column.dtype.str for name, column in found.items()} == {
        "number": "<i8", "ratio": "<f8", "is_on": "|b1", "name": "|O", "at": "<i8", "seen_us": "<i8"
    }  # fmt: skip
    assert found["number"].tolist() == [1, -(2**40)]
    assert (found["ratio"][0], np.isnan(found["ratio"][1])) == (0.5, True)
    assert (found["is_on"].tolist(), found["name"].tolist()) == ([True, False], ["a", None])
    assert found["at"].tolist() == [STAMP_US, STAMP_US + 750_000]
    assert found["seen_us"].tolist() == [7, -9]


def test_read_columns_given_texts_as_numbers_then_reads_those_that_are_and_the_others_are_missing(connection: Connection) -> None:
    insert(connection, (1, "0.25", 1, "a", STAMP, 7), (2, "x", 1, "b", STAMP, 8), (3, 1.5, 1, "c", STAMP, 9))

    ratios = read_columns(connection, sa.select(THINGS))["ratio"]

    assert (ratios[0], np.isnan(ratios[1]), ratios[2]) == (0.25, True, 1.5)


def test_read_columns_given_no_row_then_all_are_empty(connection: Connection) -> None:
    found = read_columns(connection, sa.select(THINGS))

    assert {name: len(column) for name, column in found.items()} == dict.fromkeys(THINGS.c.keys(), 0)
    assert found["number"].dtype == np.int64


@pytest.mark.parametrize("number", [None, 1.5, "x", 2**70])
def test_read_columns_given_an_invalid_whole_number_then_is_refused(connection: Connection, number: object) -> None:
    insert(connection, (str(number) if number == 2**70 else number, 0.5, 1, "a", STAMP, 7))

    with pytest.raises((StoreError, sa.exc.OperationalError)):
        read_columns(connection, sa.select(THINGS))


@pytest.mark.parametrize("stamp", [None, 5, "now", "2026-01-05", "2026-01-05 12:00+05", "2026-13-05 12:00:00", "2026-01-05 12:00:00.25"])
def test_read_columns_given_one_invalid_time_then_none_of_the_column_is_known(connection: Connection, stamp: object) -> None:
    insert(connection, (1, 0.5, 1, "a", STAMP, 7), (2, 0.5, 1, "b", stamp, 8))

    assert read_columns(connection, sa.select(THINGS))["at"].tolist() == [NO_TIME, NO_TIME]


def test_columns_frame_given_columns_then_is_the_frame_of_the_rows(connection: Connection) -> None:
    insert(connection, (1, 0.5, 1, "a", STAMP, 7), (2, 0.25, 0, "b", STAMP, 1_000_000))
    query = sa.select(THINGS.c.number, THINGS.c.ratio, THINGS.c.is_on, THINGS.c.name, THINGS.c.seen_us)

    found, expected = columns_frame(read_columns(connection, query)), read_frame(connection, query)

    pd.testing.assert_frame_equal(found, expected)
    assert found["seen"].tolist() == [pd.Timestamp("1970-01-01T00:00:00.000007Z"), pd.Timestamp("1970-01-01T00:00:01Z")]
