"""All closed trades as columns are what they are one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.trade_digests import row_digests
from bot3.ports.trade_columns import TradeColumns
from tests.conftest import NewStore
from tests.servers.freqtrade_db import OPENED, FreqtradeDb, a_row, an_open_row, an_order
from tests.servers.postgres import PostgresServer

ODD: list[dict[str, Any]] = [
    {},
    {"open_rate": 0.0},
    {"close_rate": None},
    {"close_profit": float("nan")},
    {"close_profit": -1.95},
    {"close_profit": -7.0},
    {"leverage": None},
    {"leverage": 0.5},
    {"leverage": 75.0},
    {"fee_open": 0.2},
    {"funding_fees": None, "min_rate": None, "liquidation_price": None},
    {"enter_tag": None, "exit_reason": None},
    {"close_date": None},
    {"close_date": OPENED - timedelta(hours=1)},
    {"is_short": True, "leverage": 1.0},
    {"open_date": OPENED.replace(microsecond=123_456)},
    {"pair": "NA|STY/USDT"},
    {"pair": "NA\nSTY/USDT"},
    {"pair": ""},
    {"pair": "币安人生/USDT:USDT"},
]


@pytest.fixture(params=["2026.9", "2022.4"])
def bot(request: pytest.FixtureRequest, new_store: NewStore) -> FreqtradeDb:
    return FreqtradeDb(new_store(), age=request.param)


@pytest.fixture
def reader(bot: FreqtradeDb) -> Iterator[FreqtradeColumns]:
    reader = FreqtradeColumns.open(bot.url, bot="GRID7")
    yield reader
    reader.close()


def rows_of(columns: TradeColumns) -> list[tuple[Any, ...]]:
    rows = [tuple(map(repr, row)) for row in zip(*(column.tolist() for column in columns.arrays.values()), strict=True)]
    return sorted(zip(rows, row_digests(columns), strict=True), key=repr)


def test_columns_given_sound_and_odd_rows_then_are_the_closed_trades(bot: FreqtradeDb, reader: FreqtradeColumns) -> None:
    bot.add(*(a_row(number, **odd) for number, odd in enumerate(ODD, start=1)), an_open_row(90))

    columns = reader.closed_columns(closed_since=None)

    expected = TradeColumns.of(reader.closed_trades(closed_since=None))
    assert 5 < len(columns) < len(ODD)
    assert list(columns.arrays) == list(expected.arrays)
    assert rows_of(columns) == rows_of(expected)


SIDES = st.sampled_from(
    [(), ("buy",), ("buy", "sell"), ("buy", "stoploss"), ("buy", "buy", "sell"), ("sell", "buy", "buy"), ("sell", "sell")]
)
NO_AMOUNTS = {"amount_requested": None, "max_stake_amount": None}
AMOUNTS = st.sampled_from([{}, {"amount_requested": 1.0}, {"max_stake_amount": 90.0}, {"max_stake_amount": 90.0, "record_version": 1}])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30, deadline=None)
@given(trades=st.lists(st.tuples(SIDES, AMOUNTS, st.booleans()), min_size=1, max_size=6))
def test_columns_given_any_orders_then_patterns_are_those_one_by_one(trades: list[tuple[tuple[str, ...], dict[str, Any], bool]]) -> None:
    with TemporaryDirectory() as directory:
        bot = FreqtradeDb(sqlite_url(Path(directory) / "t.sqlite"))
        bot.add(*(a_row(number, is_short=is_short, **(NO_AMOUNTS | amounts)) for number, (_, amounts, is_short) in enumerate(trades, 1)))
        orders = [(number, side) for number, (sides, _, _) in enumerate(trades, 1) for side in sides]
        if orders:
            bot.add_orders(*(an_order(place, trade_id=number, side=side) for place, (number, side) in enumerate(orders)))
        with closing(FreqtradeColumns.open(bot.url, bot="GRID7")) as reader:
            assert rows_of(reader.closed_columns(closed_since=None)) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))


def test_columns_given_no_rows_then_are_empty(reader: FreqtradeColumns) -> None:
    assert len(reader.closed_columns(closed_since=None)) == 0


# A plain day, the hour that is told twice and the days around it, the hour that is left out, a time before there were zones.
LOCAL = ["2025-03-03 12:00:04", "2025-10-25 23:59:59.5", "2025-10-26 02:30:00", "2025-10-26 02:40:00", "2025-10-27 00:00:00"]
LOCAL += ["2025-03-30 01:59:59", "2025-03-30 02:30:00", "2025-03-30 03:10:00", "0001-01-02 00:00:00", "9998-12-30 00:00:00"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/New_York"])
def test_columns_given_local_times_then_are_the_closed_trades(bot: FreqtradeDb, zone: str) -> None:
    stamps = [datetime.fromisoformat(text) for text in LOCAL]
    bot.add(
        *(
            a_row(10 * n + m, open_date=opened, close_date=closed)
            for n, opened in enumerate(stamps, 1)
            for m, closed in enumerate(stamps[:8])
        )
    )
    reader = FreqtradeColumns.open(bot.url, bot="GRID7", source_timezone=zone)

    columns = reader.closed_columns(closed_since=None)

    assert rows_of(columns) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))
    assert reader.count_closed(closed_since=None) == len(columns)
    reader.close()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("minute", [-1, 0, 59, 60, 61])
def test_columns_given_a_window_then_are_the_trades_closed_in_it(bot: FreqtradeDb, zone: str, minute: int) -> None:
    bot.add(*(a_row(number, close_date=OPENED + timedelta(minutes=number)) for number in range(1, 61)))
    reader = FreqtradeColumns.open(bot.url, bot="GRID7", source_timezone=zone)
    since = OPENED.replace(tzinfo=ZoneInfo(zone)) + timedelta(minutes=minute)

    columns = reader.closed_columns(closed_since=since)

    assert len(columns) == 60 - max(0, minute - 1)
    assert rows_of(columns) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=since)))
    reader.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("open_date", "timestamptz"),
        ("close_profit", "numeric"),
        ("open_rate", "real"),
        ("close_profit", "real"),
        ("id", "numeric"),
        ("enter_tag", "text"),
    ],
)
def test_columns_given_types_of_another_converter_then_are_the_closed_trades(postgres: PostgresServer, name: str, kind: str) -> None:
    bot = FreqtradeDb(postgres.new_database())
    bot.add(a_row(1), a_row(2, enter_tag=None, close_profit=0.1))
    bot.execute(f"ALTER TABLE trades ALTER COLUMN {name} TYPE {kind}")
    reader = FreqtradeColumns.open(bot.url, bot="GRID7", source_timezone="Europe/Berlin")

    assert len(reader.closed_columns(closed_since=None)) == 2
    assert rows_of(reader.closed_columns(closed_since=None)) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))
    reader.close()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("stamp", ["2025-03-03 12:00+05", "2025-03-03 12+05:30", "2025-03-03 12:00-05", "2025-03-03 12:00:4Z"])
def test_columns_given_a_stamp_with_a_zone_then_judge_as_for_one_trade(tmp_path: Path, stamp: str, zone: str) -> None:
    bot = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    bot.add(a_row(1, close_date=OPENED + timedelta(days=900)))
    with bot.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trades SET open_date = ?", (stamp,))
    reader = FreqtradeColumns.open(bot.url, bot="GRID7", source_timezone=zone)

    assert rows_of(reader.closed_columns(closed_since=None)) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))
    reader.close()


@pytest.mark.parametrize("stamp", ["now", "2025-03", "2025-03-03T12:00:04", "2025-03-03 12:00:04+00:00", "2025-02-30 12:00:04", 17, ""])
def test_columns_given_a_stamp_that_freqtrade_does_not_write_then_judge_as_for_one_trade(tmp_path: Any, stamp: Any) -> None:
    bot = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    bot.add(a_row(1), a_row(2))
    with bot.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trades SET open_date = ? WHERE id = 2", (stamp,))
    reader = FreqtradeColumns.open(bot.url, bot="GRID7")

    assert rows_of(reader.closed_columns(closed_since=None)) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))
    reader.close()


@given(
    changes=st.fixed_dictionaries(
        {
            "open_rate": st.floats(0.0, 1e6),
            "close_profit": st.floats(-3.0, 3.0),
            "leverage": st.floats(0.5, 20.0),
            "fee_close": st.floats(-0.2, 0.2),
            "enter_tag": st.none() | st.sampled_from(["F07", "F07|c=0.7", "", "é", "a\nb", "a\0b"]),
            "pair": st.sampled_from(["BTC/USDT", "X" * 61, "X" * 101, "a|b", "a\\b", "a\0b", " ", "*", "币安人生/USDT", "[red]X/USDT"])
            | st.text(st.characters(codec="utf-8"), max_size=6),
        }
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_given_any_row_then_judge_as_for_one_trade(tmp_path: Any, changes: dict[str, Any]) -> None:
    bot = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    bot.execute("DELETE FROM trades")
    bot.add(a_row(1, **changes))
    reader = FreqtradeColumns.open(bot.url, bot="GRID7")

    assert rows_of(reader.closed_columns(closed_since=None)) == rows_of(TradeColumns.of(reader.closed_trades(closed_since=None)))
    reader.close()
