"""Values, rows and frames, to and from a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.engine import Database, sqlite_url
from bot3.adapters.sql.rows import (
    bulk_insert,
    frame_rows,
    from_naive,
    from_us,
    insert_ignore,
    maybe_at,
    maybe_us,
    plain,
    read_frame,
    series_us,
    stored_name,
    stored_values,
    to_json,
    to_naive,
    to_us,
    upsert,
)
from bot3.errors import StoreError
from bot3.trading.trades import ExitReason

AT = datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String),
    sa.Column("ratio", sa.Double),
    sa.Column("is_on", sa.Boolean),
    sa.Column("count", sa.Integer),
    sa.Column("day", sa.DateTime),
    sa.Column("seen_us", sa.BigInteger),
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with sa.create_engine("sqlite://").connect() as connection:
        THINGS.create(connection)
        yield connection


def rows_of(connection: Connection, *names: str) -> list[tuple[Any, ...]]:
    query = sa.select(*(THINGS.c[name] for name in names)).order_by(THINGS.c.id)
    return [tuple(row) for row in connection.execute(query)]


def test_instants_given_a_time_then_are_microseconds_and_back() -> None:
    assert (to_us(AT), maybe_us(AT), maybe_us(None)) == (1_000_005, 1_000_005, None)
    assert (from_us(1_000_005), maybe_at(1_000_005), maybe_at(None), maybe_at(0)) == (AT, AT, None, from_us(0))
    assert to_naive(AT.astimezone(timezone(timedelta(hours=5)))) == AT.replace(tzinfo=None)
    assert (to_naive(None), from_naive(None)) == (None, None)
    assert from_naive(AT.replace(tzinfo=None)) == AT


def test_instants_given_no_zone_then_are_refused() -> None:
    for convert in (to_us, to_naive):
        with pytest.raises(StoreError, match="without a time zone"):
            convert(AT.replace(tzinfo=None))


def test_plain_given_any_value_then_is_one_that_drivers_accept() -> None:
    values = [None, True, 3, 0.5, "a", AT, ExitReason.ROI, np.float64(0.5), np.int64(3), (1,)]

    found = [plain(value) for value in values]

    assert found == [None, True, 3, 0.5, "a", 1_000_005, "roi", 0.5, 3, (1,)]
    assert [type(found[place]) for place in (6, 7, 8)] == [str, float, int]


def test_to_json_given_equal_values_then_are_equal_texts() -> None:
    assert to_json({"b": [1, 2], "a": None}) == to_json({"a": None, "b": [1, 2]}) == '{"a":null,"b":[1,2]}'


def test_stored_name_given_an_instant_then_ends_in_us() -> None:
    assert [stored_name(name, {"seen"}) for name in ("seen", "name")] == ["seen_us", "name"]


def test_stored_values_given_an_invalid_instant_then_it_remains_as_stored(connection: Connection) -> None:
    query = sa.select(
        *(sa.literal_column(text).label(name) for name, text in (("a_us", "5"), ("b_us", "NULL"), ("c_us", "'x'"), ("d", "7")))
    )

    assert stored_values(connection.execute(query).one()) == {"a": from_us(5), "b": None, "c": "x", "d": 7}
    assert stored_values(connection.execute(sa.select(sa.literal_column(str(2**62)).label("a_us"))).one()) == {"a": 2**62}


def test_series_us_given_times_then_are_numbers_and_missing_ones_none() -> None:
    times = pd.Series([pd.Timestamp(AT), pd.NaT]).astype("datetime64[ns, UTC]")

    assert series_us(times) == [1_000_005, None]
    with pytest.raises(StoreError, match="must be datetime64"):
        series_us(pd.Series([1.0], name="seen"))


def test_frame_rows_given_columns_then_are_in_their_order_with_the_revision_and_none_for_nan() -> None:
    frame = pd.DataFrame({"ratio": [0.5, np.nan], "seen": pd.Series([AT, AT]), "name": ["a", "b"]})

    assert frame_rows(frame, ("name", "seen_us", "revision", "ratio"), revision=4) == [("a", 1_000_005, 4, 0.5), ("b", 1_000_005, 4, None)]
    with pytest.raises(StoreError, match="lacks the column count: there are ratio, seen, name"):
        frame_rows(frame, ("count",))


def test_insert_ignore_given_a_key_again_then_counts_only_new_rows(connection: Connection) -> None:
    assert insert_ignore(connection, THINGS, [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]) == 2
    assert insert_ignore(connection, THINGS, [{"id": 2, "name": "d"}]) == 0
    assert rows_of(connection, "id", "name") == [(1, "a"), (2, "c")]


def test_upsert_given_a_key_again_then_changes_the_given_fields(connection: Connection) -> None:
    upsert(connection, THINGS, {"id": 1, "name": "a", "ratio": 0.5})
    upsert(connection, THINGS, {"id": 1, "name": "b"})

    assert rows_of(connection, "id", "name", "ratio") == [(1, "b", 0.5)]


@pytest.mark.parametrize(("replaces", "expected"), [(True, [(1, "x"), (2, "b"), (3, "c")]), (False, [(1, "a"), (2, "b"), (3, "c")])])
def test_bulk_insert_given_batches_then_replaces_or_skips_known_keys(
    connection: Connection, replaces: bool, expected: list[tuple[int, str]]
) -> None:
    bulk_insert(connection, THINGS, [(1, "a")], columns=("id", "name"), replaces=True)

    done = bulk_insert(connection, THINGS, [(1, "x"), (2, "b"), (3, "c")], columns=("id", "name"), replaces=replaces, batch=2)

    assert done == len(expected) - (not replaces)
    assert rows_of(connection, "id", "name") == expected
    assert bulk_insert(connection, THINGS, [], columns=("id", "name"), replaces=True) == 0


def test_read_frame_given_rows_then_columns_have_the_types_of_the_table(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO things VALUES (1, 'a', 0.5, 1, 7, '2026-01-05 12:00:00.250000', 1000005)")

    frame = read_frame(connection, sa.select(THINGS))

    types = ["int64", "str", "float64", "bool", "int64", "datetime64[us, UTC]", "datetime64[us, UTC]"]
    assert list(map(str, frame.dtypes)) == types
    assert frame.iloc[0].tolist() == [1, "a", 0.5, True, 7, pd.Timestamp("2026-01-05T12:00:00.25Z"), pd.Timestamp(AT)]


def test_read_frame_given_missing_numbers_and_times_then_they_are_missing(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO things (id, count, seen_us) VALUES (1, NULL, NULL), (2, 9007199254740993, 5)")

    frame = read_frame(connection, sa.select(THINGS.c["count"], THINGS.c.seen_us).order_by(THINGS.c.id))

    assert frame["count"].isna().tolist() == frame["seen"].isna().tolist() == [True, False]
    assert frame["count"][1] == 9_007_199_254_740_993
    assert frame["seen"][1] == pd.Timestamp(from_us(5))


def test_read_frame_given_no_row_then_has_its_columns(connection: Connection) -> None:
    frame = read_frame(connection, sa.select(THINGS.c.id, THINGS.c.seen_us))

    assert list(frame.columns) == ["id", "seen"]
    assert list(map(str, frame.dtypes)) == ["int64", "datetime64[us, UTC]"]


def test_read_frame_given_a_driver_that_fails_at_a_later_row_then_names_the_store(tmp_path: Path) -> None:
    with closing(Database.open(sqlite_url(tmp_path / "platform.sqlite"), kind="platform")) as database:
        # Of the least number there is no positive one: SQLite finds that out when it comes to the row.
        rows = sa.union_all(
            sa.select(sa.literal_column("1").label("x")), sa.select(sa.literal_column("-9223372036854775807 - 1"))
        ).subquery()

        with pytest.raises(StoreError, match=r"platform\.sqlite"), database.read() as connection:
            read_frame(connection, sa.select(sa.func.abs(rows.c.x).label("x")))
