"""Freqtrade's databases as trades of ours."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.freqtrade.rows import REQUIRED_COLUMNS
from bot3.adapters.freqtrade.trades import FreqtradeTrades
from bot3.errors import DataError, SettingsError, StoreBusyError, StoreError
from bot3.ports.foreign_trades import FilledOrder, ForeignTradeReader, RefusedTrade
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import OrderPattern, RunMode, Trade
from tests.conftest import NewStore
from tests.servers.freqtrade_db import OPENED, FreqtradeDb, a_row, an_open_row, an_order
from tests.servers.postgres import PostgresServer

Reader = Callable[..., FreqtradeTrades]
UTC_OPENED = OPENED.replace(tzinfo=UTC)


@pytest.fixture(params=["2026.9", "2022.4"])
def age(request: pytest.FixtureRequest) -> str:
    release: str = request.param
    return release


@pytest.fixture
def bot(new_store: NewStore, age: str) -> FreqtradeDb:
    return FreqtradeDb(new_store(), age=age)


@pytest.fixture
def reader_of() -> Iterator[Reader]:
    opened: list[FreqtradeTrades] = []

    def make(address: str, **options: Any) -> FreqtradeTrades:
        reader = FreqtradeTrades.open(address, **{"bot": "BOT1", **options})
        opened.append(reader)
        return reader

    yield make
    for reader in opened:
        reader.close()


def ids(trades: list[Trade]) -> list[int]:
    return [trade.trade_id for trade in trades]


def test_closed_trades_given_a_row_then_is_a_trade_in_our_words(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(7, is_short=True))

    [trade] = reader_of(bot.url).closed_trades(closed_since=None)

    assert (trade.bot, trade.run_mode, trade.account, trade.trade_id) == ("BOT1", RunMode.LIVE, "foreign-BOT1", 7)
    assert (trade.open_date, trade.close_date) == (UTC_OPENED, UTC_OPENED + timedelta(hours=1))
    assert (trade.is_short, trade.is_open, trade.leverage, trade.exit_reason) == (True, False, 5.0, "roi")
    assert (trade.initial_stop_loss_pct, trade.min_rate, trade.max_rate, trade.funding_fees) == (-0.03, 99.7, 100.9, -0.01)
    assert feeder_of_enter_tag(trade.enter_tag) == "F07"


def test_closed_trades_given_a_time_then_returns_later_closes_in_order(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(*(a_row(number, close_date=OPENED + timedelta(hours=hours)) for number, hours in ((1, 30), (2, 10), (3, 20))))
    reader = reader_of(bot.url)

    since = UTC_OPENED + timedelta(hours=20)

    assert ids(reader.closed_trades(closed_since=None)) == [2, 3, 1]
    assert ids(reader.closed_trades(closed_since=since)) == [3, 1]
    assert (reader.count_closed(closed_since=since), reader.count_closed(closed_since=None)) == (2, 3)


def test_open_trades_given_one_with_a_partial_exit_then_it_has_no_close(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1), an_open_row(2))
    reader = reader_of(bot.url)

    [trade] = reader.open_trades()

    assert (trade.trade_id, trade.close_profit, trade.close_rate, trade.exit_reason) == (2, None, None, None)
    assert ids(reader.closed_trades(closed_since=None)) == [1]


def test_closed_trades_given_harmless_quirks_then_passes_them(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(
        a_row(1, close_rate=90.0, min_rate=99.0, max_rate=None, liquidation_price=None),
        a_row(2, leverage=None, funding_fees=None, enter_tag=None, stop_loss_pct=None),
        a_row(3, exit_reason="my own words", close_date=OPENED),
    )

    first, second, third = sorted(reader_of(bot.url).closed_trades(closed_since=None), key=lambda trade: trade.trade_id)

    assert (first.close_rate, first.min_rate, first.max_rate) == (90.0, 99.0, None)
    assert (second.leverage, second.funding_fees, feeder_of_enter_tag(second.enter_tag)) == (1.0, 0.0, "unknown")
    assert third.exit_reason == "my own words"


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"open_rate": 0.0}, "open_rate must be above 0", "0"),
        ({"close_rate": -1.0}, "close_rate must be above 0", "-1"),
        ({"amount": 0.0}, "amount must be above 0", "0"),
        ({"stake_amount": float("inf")}, "stake_amount must be above 0", "inf"),
        ({"leverage": 0.5}, "leverage must be at least 1", "0.5"),
        ({"leverage": float("inf")}, "leverage must be at least 1", "inf"),
        ({"fee_open": 5.0}, "fee_open must be a ratio such as 0.0005", "5"),
        ({"close_date": None}, "it is closed but has no close_date", ""),
        ({"close_profit": None}, "it is closed but its close_profit is not a number", "nan"),
        ({"close_profit_abs": float("nan")}, "it is closed but its close_profit_abs is not a number", "nan"),
        (
            {"close_profit": -145.81},
            "it lost more than its stake can lose: an order of another trade is likely in it",
            "close_profit -145.81",
        ),
        (
            {"close_date": OPENED - timedelta(seconds=1)},
            "it closed before it opened",
            "2025-03-03T12:00:03+00:00 before 2025-03-03T12:00:04+00:00",
        ),
    ],
)
def test_refused_trades_given_an_impossible_one_then_names_it(
    bot: FreqtradeDb, reader_of: Reader, changes: dict[str, Any], reason: str, detail: str
) -> None:
    bot.add(a_row(1), a_row(2, **changes))
    reader = reader_of(bot.url)

    assert reader.refused_trades() == (RefusedTrade(trade_id=2, pair="BTC/USDT:USDT", reason=reason, detail=detail),)
    assert ids(reader.closed_trades(closed_since=None)) == [1]
    assert reader.count_closed(closed_since=None) == 1


@pytest.mark.parametrize("opened", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59)])  # noqa: DTZ001  # freqtrade's have no zone
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_closed_trades_given_a_date_that_no_calendar_has_in_utc_then_the_others_are_read(
    bot: FreqtradeDb, reader_of: Reader, opened: datetime, zone: str
) -> None:
    bot.add(a_row(1), a_row(2, open_date=opened, close_date=opened))
    reader = reader_of(bot.url, source_timezone=zone)

    assert 1 in ids(reader.closed_trades(closed_since=None))
    assert reader.count_closed(closed_since=None) == len(reader.closed_trades(closed_since=None))


ODD_NAME = "its pair contains a bar, a backslash, a line break, an invisible character, or a leading or trailing space"


@pytest.mark.parametrize(
    ("pair", "reason", "shown"),
    [
        ("NA|STY/USDT:USDT", ODD_NAME, "NA|STY/USDT:USDT"),
        ("NA\\STY/USDT:USDT", ODD_NAME, "NA\\STY/USDT:USDT"),
        ("NA\nSTY/USDT:USDT", ODD_NAME, "NA\\nSTY/USDT:USDT"),
        ("NA\x1b[2JSTY/USDT", ODD_NAME, "NA\\x1b[2JSTY/USDT"),
        ("NA\u202eSTY/USDT", ODD_NAME, "NA\\u202eSTY/USDT"),
        ("BTC/USDT ", ODD_NAME, "BTC/USDT "),
        ("", "it has no pair", ""),
        ("*", "its pair is '*', which is reserved for all pairs", "*"),
    ],
)
def test_refused_trades_given_a_pair_that_cannot_be_a_name_then_names_it_and_reads_the_others(
    bot: FreqtradeDb, reader_of: Reader, pair: str, reason: str, shown: str
) -> None:
    bot.add(a_row(1), a_row(2, pair=pair), a_row(3, pair="币安人生/USDT:USDT"), a_row(4, pair="[red]X[/red]/USDT:USDT"))
    reader = reader_of(bot.url)

    assert reader.refused_trades() == (RefusedTrade(trade_id=2, pair=shown, reason=reason, detail=shown),)
    assert ids(reader.closed_trades(closed_since=None)) == [1, 3, 4]
    assert reader.count_closed(closed_since=None) == 3


def test_refused_trades_given_texts_that_no_server_can_store_then_names_them(tmp_path: Path, reader_of: Reader) -> None:
    bot = FreqtradeDb(f"sqlite:///{tmp_path / 'a.sqlite'}")
    bot.add(a_row(1, enter_tag="two\nlines"), a_row(2, enter_tag="a\0b"), a_row(3, exit_reason="a\0b"), a_row(4, pair="X" * 101))
    reader = reader_of(bot.url)

    assert [(row.trade_id, row.reason) for row in reader.refused_trades()] == [
        (2, "enter_tag: it contains a NUL character, which PostgreSQL cannot store"),
        (3, "exit_reason: it contains a NUL character, which PostgreSQL cannot store"),
        (4, "its pair is longer than 100 characters"),
    ]
    assert reader.count_closed(closed_since=None) == 1


def test_refused_trades_given_texts_in_place_of_values_then_names_them(tmp_path: Path, reader_of: Reader) -> None:
    bot = FreqtradeDb(f"sqlite:///{tmp_path / 'a.sqlite'}")
    bot.add(a_row(1), a_row(2), a_row(3))
    bot.execute("UPDATE trades SET open_date = 'yesterday' WHERE id = 2")
    bot.execute("UPDATE trades SET open_rate = 'cheap' WHERE id = 3")

    refused = reader_of(bot.url).refused_trades()

    assert [(row.trade_id, row.reason, row.detail) for row in refused] == [
        (2, "open_date is not a valid time", "'yesterday'"),
        (3, "open_rate must be above 0", "nan"),
    ]


@pytest.fixture
def two_schemas(postgres: PostgresServer) -> str:
    """Return a database of two bots: one closed trade in `public`, three in `bot1`."""
    url = postgres.new_database()
    FreqtradeDb(url).add(a_row(1))
    other = _in_schema(url, "bot1")
    other.add(*(a_row(number, close_profit=-0.02) for number in (1, 2, 3)))
    other.add_orders(an_order(1, trade_id=1, side="buy"), an_order(2, trade_id=1, side="sell"))
    return url


def _in_schema(url: str, schema: str) -> FreqtradeDb:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')
    return FreqtradeDb(f"{url}&options=-csearch_path%3D%22{schema}%22")


@pytest.mark.postgres
@pytest.mark.parametrize("query", ["options=-csearch_path%3Dbot1", "options=-c%20search_path%3Dbot1%2Cpublic", "currentSchema=bot1"])
def test_read_all_given_a_schema_in_the_address_then_reads_that_bots_trades(two_schemas: str, reader_of: Reader, query: str) -> None:
    reader = reader_of(f"{two_schemas}&{query}".replace("+psycopg:", "+psycopg2:"))

    found = reader.read_all()

    assert [(trade.trade_id, trade.close_profit) for trade in found.closed] == [(1, -0.02), (2, -0.02), (3, -0.02)]
    assert [order.is_entry for order in found.orders[1]] == [True, False]
    assert reader.count_closed(closed_since=None) == 3
    assert ids(reader_of(two_schemas).closed_trades(closed_since=None)) == [1]


@pytest.mark.postgres
def test_open_given_a_schema_that_is_not_there_then_names_those_that_hold_trades(two_schemas: str, reader_of: Reader) -> None:
    with pytest.raises(StoreError, match=r"there is no schema 'bot2'.* a table `trades` is in bot1, public; name the bot's with"):
        reader_of(f"{two_schemas}&options=-csearch_path%3Dbot2,public")


@pytest.mark.postgres
def test_open_given_trades_in_another_schema_alone_then_names_it(postgres: PostgresServer, reader_of: Reader) -> None:
    url = postgres.new_database()
    _in_schema(url, "bot1").add(a_row(1))

    with pytest.raises(StoreError, match=r"it has no table `trades`.* is in bot1; .*options=-csearch_path%3Dbot1"):
        reader_of(url)


def _left_with_a_log(path: Path) -> int:
    """Leave a database as a killed bot does: its newest rows are in the log alone. Return how many closed trades it has."""
    alive = path.with_name("alive.sqlite")
    bot = FreqtradeDb(f"sqlite:///{alive}")
    bot.add(a_row(1))
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(alive, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        # While somebody has it open the last writer does not bring the log into the file.
        writer.execute("SELECT count(*) FROM trades").fetchone()
        bot.add(a_row(2), a_row(3))
        for suffix in ("", "-wal"):
            path.with_name(path.name + suffix).write_bytes(alive.with_name(alive.name + suffix).read_bytes())
    return 3


def _counted_where_nothing_may_be_written(path: Path, *, leaves_no_trace: bool) -> str:
    """Return what a process without the right to write beside a database counts in it, or its error."""
    receive, send = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            with closing(FreqtradeTrades.open(str(path), bot="BOT1", leaves_no_trace=leaves_no_trace)) as reader:
                found = str(len(reader.read_all().closed))
        except StoreError as error:
            found = str(error)
        os.write(send, found.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(send)
    with os.fdopen(receive) as answer:
        return answer.read()


def test_read_all_given_a_log_on_a_read_only_mount_then_reads_its_rows_too_and_leaves_no_trace() -> None:
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, "mounted", "a.sqlite")
        count = _left_with_a_log(Path(root, "a.sqlite"))
        path.parent.mkdir()
        for suffix in ("", "-wal"):
            Path(root, f"a.sqlite{suffix}").rename(path.with_name(f"a.sqlite{suffix}"))
            path.with_name(f"a.sqlite{suffix}").chmod(0o444)
        path.parent.chmod(0o555)
        Path(root).chmod(0o755)

        once = _counted_where_nothing_may_be_written(path, leaves_no_trace=True)
        watched = _counted_where_nothing_may_be_written(path, leaves_no_trace=False)
        files = {found.name for found in path.parent.iterdir()}
        path.parent.chmod(0o755)

    assert once == str(count)
    assert "whose rows SQLite cannot read in a directory without write permission: make the directory writable" in watched
    assert files == {"a.sqlite", "a.sqlite-wal"}


def test_open_given_an_empty_log_then_the_file_is_whole_and_left_without_a_trace(tmp_path: Path, reader_of: Reader) -> None:
    bot = FreqtradeDb(f"sqlite:///{tmp_path / 'a.sqlite'}")
    bot.add(a_row(1), a_row(2))
    bot.execute("PRAGMA journal_mode = WAL")
    (tmp_path / "a.sqlite-wal").write_bytes(b"")

    assert reader_of(str(tmp_path / "a.sqlite"), leaves_no_trace=True).count_closed(closed_since=None) == 2
    assert {found.name for found in tmp_path.iterdir()} == {"a.sqlite", "a.sqlite-wal"}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "mysql+pymysql://u:canary-7@h/ft",
            r"mysql\+pymysql://u:\*\*\*@h/ft is a mysql\+?.* database.*`freqtrade convert-db --db-url-from",
        ),
        ("mariadb+pymysql://u@h/ft", "is a mariadb database, but only SQLite and PostgreSQL are supported: copy it with `freqtrade"),
        ("oracle://u@h/ft", "read from SQLite or PostgreSQL, not from oracle://u@h/ft: `freqtrade convert-db` copies it to SQLite"),
    ],
)
def test_open_given_another_server_then_names_freqtrades_remedy(reader_of: Reader, address: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as raised:
        reader_of(address)

    assert "canary-7" not in str(raised.value)


def test_open_given_a_missing_file_then_names_the_databases_beside_it(tmp_path: Path, reader_of: Reader) -> None:
    for name in ("tradesv3.dryrun.sqlite", "notes.txt"):
        (tmp_path / name).write_bytes(b"")

    with pytest.raises(StoreError, match=r"tradesv3\.sqlite does not exist.*beside it: tradesv3\.dryrun\.sqlite\)"):
        reader_of(str(tmp_path / "tradesv3.sqlite"))


def _orders(*trades: int, prefix: str) -> list[dict[str, Any]]:
    orders = [an_order(2 * trade + place, trade_id=trade, side=side) for trade in trades for place, side in enumerate(("buy", "sell"))]
    return [order | {"order_id": f"{prefix}{order['id']}"} for order in orders]


@pytest.mark.parametrize(("prefix", "mode"), [("dry_run_buy_BTC_", RunMode.PAPER), ("88123", RunMode.LIVE)])
def test_open_given_no_mode_then_the_orders_say_it(bot: FreqtradeDb, reader_of: Reader, prefix: str, mode: RunMode) -> None:
    bot.add(a_row(1), a_row(2))
    bot.add_orders(*_orders(1, 2, prefix=prefix))

    reader = reader_of(bot.url, run_mode=None)

    assert [trade.run_mode for trade in reader.closed_trades(closed_since=None)] == [mode] * 2


@pytest.mark.parametrize(
    ("prefixes", "mode"),
    [(("dry_run_buy_",), RunMode.PAPER), (("88123",), RunMode.LIVE), (("dry_run_buy_", "88123"), RunMode.LIVE), ((), RunMode.LIVE)],
)
def test_open_given_any_mode_then_all_trades_are_paper_only_if_all_orders_are_of_a_dry_run(
    bot: FreqtradeDb, prefixes: tuple[str, ...], mode: RunMode
) -> None:
    bot.add(a_row(1), a_row(2))
    for trade_id, prefix in enumerate(prefixes, start=1):
        bot.add_orders(*_orders(trade_id, prefix=prefix))

    with closing(FreqtradeTrades.open(bot.url, bot="GRID7", run_mode=None, is_any_mode=True)) as reader:
        assert {trade.run_mode for trade in reader.closed_trades(closed_since=None)} == {mode}


def test_open_given_a_dry_run_as_live_then_refuses(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1))
    bot.add_orders(*_orders(1, prefix="dry_run_sell_"))

    with pytest.raises(DataError, match=r"no live trades: all its orders are of freqtrade's dry run .* its run mode is paper"):
        reader_of(bot.url, run_mode=RunMode.LIVE)


def test_open_given_orders_of_a_test_network_as_paper_then_takes_them(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1))
    bot.add_orders(*_orders(1, prefix="77"))

    assert reader_of(bot.url, run_mode=RunMode.PAPER).count_closed(closed_since=None) == 1


def test_open_given_no_orders_and_no_mode_then_asks_for_it(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1))

    with pytest.raises(SettingsError, match=r"it contains no orders.*set --run-mode paper or"):
        reader_of(bot.url, run_mode=None)


def test_read_all_given_trades_of_both_modes_as_live_then_refuses_those_of_the_dry_run(bot: FreqtradeDb) -> None:
    bot.add(a_row(1), a_row(2), a_row(3), an_open_row(4))
    bot.add_orders(*_orders(1, 4, prefix="dry_run_buy_"), *_orders(2, prefix="5"))
    reader = FreqtradeColumns.open(bot.url, bot="BOT1", run_mode=RunMode.LIVE)

    with closing(reader):
        found = reader.read_all()

        assert ids(list(found.closed)) == [2, 3]
        assert [(row.trade_id, row.is_open, row.reason) for row in found.refused] == [
            (1, False, "its orders are of freqtrade's dry run, and the source is live"),
            (4, True, "its orders are of freqtrade's dry run, and the source is live"),
        ]
        assert (reader.count_closed(closed_since=None), reader.open_trades()) == (2, [])
        assert sorted(reader.closed_columns(closed_since=None).arrays["trade_id"].tolist()) == [2, 3]


def test_read_all_given_leverage_above_10_then_they_are_closed_trades(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1), a_row(2, leverage=20.0), a_row(3, leverage=75.0))

    found = reader_of(bot.url).read_all()

    assert [trade.leverage for trade in found.closed] == [5.0, 20.0, 75.0]
    assert found.refused == ()


def test_read_all_given_an_entry_that_is_not_filled_then_it_is_open(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1), an_open_row(2, amount=0.0), a_row(3, amount=0.0))

    found = reader_of(bot.url).read_all()

    assert [(trade.trade_id, trade.amount) for trade in found.open] == [(2, 0.0)]
    assert [(row.trade_id, row.is_open, row.reason) for row in found.refused] == [(3, False, "amount must be above 0")]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_read_all_given_columns_that_are_all_texts_then_is_what_typed_ones_hold(
    kind: str, tmp_path: Path, reader_of: Reader, request: pytest.FixtureRequest
) -> None:
    typed = FreqtradeDb(f"sqlite:///{tmp_path / 'typed.sqlite'}")
    typed.add(*(a_row(number, is_short=number % 2 == 0, leverage=number) for number in range(1, 13)), an_open_row(13, amount=0.0))
    typed.add_orders(*(an_order(number, trade_id=number, side="buy", filled=2.0 * (number % 3)) for number in range(1, 13)))
    url = f"sqlite:///{tmp_path / 'texts.sqlite'}" if kind == "sqlite" else request.getfixturevalue("postgres").new_database()
    _copy_as_texts(typed, url)

    expected, reader = reader_of(typed.url), reader_of(url)

    assert reader.read_all() == expected.read_all()
    assert reader.closed_trades(closed_since=UTC_OPENED) == expected.closed_trades(closed_since=UTC_OPENED)
    assert (reader.count_closed(closed_since=None), ids(reader.open_trades())) == (12, [13])
    assert reader.trades_frame(limit=5, offset=2).equals(expected.trades_frame(limit=5, offset=2))


def _copy_as_texts(source: FreqtradeDb, url: str) -> None:
    """Copy both tables to columns of texts; what is missing is an empty text."""
    target = sa.create_engine(url, poolclass=sa.NullPool)
    with source.engine.connect() as read, target.begin() as write:
        for table in (source.trades, source.orders):
            copy = sa.Table(table.name, sa.MetaData(), *(sa.Column(column.name, sa.Text) for column in table.columns))
            copy.create(write)
            for row in read.exec_driver_sql(f"SELECT * FROM {table.name}").mappings():  # noqa: S608  # our own names
                write.execute(copy.insert(), {name: "" if value is None else str(value) for name, value in row.items()})


@pytest.mark.parametrize(("name", "reason"), [("is_short", "is_short must be true or false"), ("is_open", "is_open must be true or false")])
def test_read_all_given_a_truth_value_that_is_none_then_refuses_the_row(tmp_path: Path, reader_of: Reader, name: str, reason: str) -> None:
    bot = FreqtradeDb(f"sqlite:///{tmp_path / 'a.sqlite'}")
    bot.add(a_row(1), a_row(2))
    bot.execute(f"UPDATE trades SET {name} = 'maybe' WHERE id = 2")  # noqa: S608  # our own names
    reader = reader_of(bot.url)

    assert [(row.trade_id, row.reason) for row in reader.refused_trades()] == [(2, reason)]
    assert ids(reader.closed_trades(closed_since=None)) == [1]
    assert reader.count_closed(closed_since=None) == 1


_VALUES = st.one_of(st.none(), st.floats(allow_nan=False), st.sampled_from([0.0, -2.0, -1.95, 1e-310, 100.0, "cheap", "7", b"x"]))
_STAMPS = st.sampled_from(
    [
        "2025-03-03 12:00:04.000000",
        "2025-03-03 12:00:04",
        "2025-03-03",
        "2025-02-30 12:00:00",
        "2025-03-03 12:00:60",
        "2460000.5",
        "12:00",
        "yesterday",
        "2025-03-03 12:00:04+02:00",
        "2025-03-03 12:00:04.9",
        "2025-03-03T12:00:04",
        "",
        12,
        None,
    ]
)
_NUMBERS = ("open_rate", "close_rate", "amount", "stake_amount", "leverage", "fee_open", "close_profit", "close_profit_abs")
_ROWS = st.lists(st.dictionaries(st.sampled_from(_NUMBERS), _VALUES, max_size=2), max_size=4)


@given(rows=_ROWS, stamps=st.lists(st.tuples(_STAMPS, _STAMPS), min_size=4, max_size=4), dated=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_all_loses_no_row_and_count_closed_counts_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], stamps: list[tuple[Any, Any]], dated: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.sqlite"
    # Columns without a type keep anything, as SQLite's do where a row was mended by hand.
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE trades ({', '.join(REQUIRED_COLUMNS)})")
        for number, (changes, (opened, closed)) in enumerate(zip(rows, stamps, strict=False), start=1):
            plain = a_row(number, open_date="2025-03-03 12:00:04", close_date="2025-03-03 13:00:04")
            row = plain | changes | ({"open_date": opened, "close_date": closed} if dated else {})
            insert = f"INSERT INTO trades VALUES ({', '.join('?' * len(REQUIRED_COLUMNS))})"  # noqa: S608  # our own names
            connection.execute(insert, [row[name] for name in REQUIRED_COLUMNS])
    with closing(FreqtradeTrades.open(str(path), bot="BOT1")) as reader:
        read, counted = reader.read_all(), reader.count_closed(closed_since=None)

    assert sorted([*(trade.trade_id for trade in read.closed), *(row.trade_id for row in read.refused)]) == [*range(1, len(rows) + 1)]
    assert counted == len(read.closed)


def test_read_all_given_orders_then_returns_the_filled_ones_and_the_pattern_of_each_trade(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1), a_row(2), a_row(3, is_short=True), a_row(4))
    bot.add_orders(
        an_order(1, trade_id=1, side="buy", after=timedelta(minutes=3)),
        an_order(2, trade_id=1, side="stoploss", filled=0.0),
        an_order(3, trade_id=1, side="sell"),
        an_order(4, trade_id=2, side="buy", after=timedelta(minutes=9)),
        an_order(5, trade_id=2, side="buy", after=timedelta(minutes=5)),
        an_order(6, trade_id=2, side="sell"),
        an_order(7, trade_id=3, side="sell"),
        an_order(8, trade_id=3, side="buy"),
        an_order(9, trade_id=3, side="stoploss"),
    )

    reader = reader_of(bot.url)
    found = reader.read_all()

    assert {number: [order.is_entry for order in orders] for number, orders in found.orders.items()} == {
        1: [True, False],
        2: [True, True, False],
        3: [True, False, False],
    }
    assert found.first_entry_at(1) == UTC_OPENED + timedelta(minutes=3)
    assert found.first_entry_at(2) == UTC_OPENED + timedelta(minutes=5)
    assert found.orders[1][0] == FilledOrder(is_entry=True, rate=100.0, amount=2.0, filled_at=UTC_OPENED + timedelta(minutes=3))
    patterns = {trade.trade_id: trade.order_pattern for trade in found.closed}
    assert patterns == {1: OrderPattern.SINGLE, 2: OrderPattern.MULTIPLE, 3: OrderPattern.MULTIPLE, 4: OrderPattern.UNKNOWN}
    assert {trade.trade_id: trade.order_pattern for trade in reader.closed_trades(closed_since=UTC_OPENED)} == patterns


GROWN = {"amount": 4.0, "amount_requested": 2.0}
LEFT_IN_PARTS = {"stake_amount": 20.0, "max_stake_amount": 40.0}


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"amount_requested": 2.01}, OrderPattern.UNKNOWN),
        (GROWN, OrderPattern.MULTIPLE),
        (LEFT_IN_PARTS, OrderPattern.MULTIPLE),
        # Before record_version 2 the stake that was entered is kept with its leverage.
        ({**LEFT_IN_PARTS, "record_version": 1}, OrderPattern.UNKNOWN),
        ({"amount_requested": None, "max_stake_amount": None}, OrderPattern.UNKNOWN),
    ],
)
def test_closed_trades_given_no_orders_then_amounts_show_the_pattern(
    new_store: NewStore, reader_of: Reader, changes: dict[str, Any], pattern: OrderPattern
) -> None:
    bot = FreqtradeDb(new_store())
    bot.add(a_row(1, **changes))

    assert [trade.order_pattern for trade in reader_of(bot.url).closed_trades(closed_since=None)] == [pattern]


def test_trades_frame_given_trades_then_is_a_page_newest_first(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(*(a_row(number, open_date=OPENED + timedelta(minutes=number)) for number in (1, 2, 3)), an_open_row(4))

    frame = reader_of(bot.url).trades_frame(limit=2, offset=1)

    assert list(frame.columns) == [field.name for field in fields(Trade)]
    assert frame["trade_id"].tolist() == [2, 1]
    assert {str(frame[name].dtype) for name in ("open_date", "close_date")} == {"datetime64[us, UTC]"}
    assert {str(frame[name].dtype) for name in ("close_profit", "open_rate")} == {"float64"}


def test_trades_frame_given_no_trade_then_is_empty(bot: FreqtradeDb, reader_of: Reader) -> None:
    reader: ForeignTradeReader = reader_of(bot.url)

    assert reader.trades_frame(limit=5, offset=0).empty
    assert (reader.closed_trades(closed_since=None), reader.open_trades(), reader.refused_trades()) == ([], [], ())


def test_change_token_given_a_commit_of_the_bot_then_differs(bot: FreqtradeDb, reader_of: Reader) -> None:
    reader = reader_of(bot.url)
    before = reader.change_token()
    assert reader.change_token() == before

    bot.add(a_row(1))

    assert reader.change_token() != before


def test_store_id_given_the_database_again_then_is_the_same(bot: FreqtradeDb, reader_of: Reader) -> None:
    assert reader_of(bot.url).store_id == reader_of(bot.url, bot="BOT2").store_id


def test_open_given_leftovers_of_migrations_then_ignores_them(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1))
    bot.execute("CREATE TABLE trades_bak0 AS SELECT * FROM trades")
    bot.execute("UPDATE trades_bak0 SET id = 9")

    assert ids(reader_of(bot.url).closed_trades(closed_since=None)) == [1]


@pytest.mark.parametrize(
    ("zone", "opened", "expected"),
    [
        ("Europe/Berlin", datetime.fromisoformat("2025-01-01 14:00"), datetime.fromisoformat("2025-01-01 13:00")),
        ("Europe/Berlin", datetime.fromisoformat("2025-07-01 14:00"), datetime.fromisoformat("2025-07-01 12:00")),
        ("Asia/Tokyo", datetime.fromisoformat("2025-07-01 08:00"), datetime.fromisoformat("2025-06-30 23:00")),
    ],
)
def test_open_given_a_time_zone_then_dates_are_utc(
    bot: FreqtradeDb, reader_of: Reader, zone: str, opened: datetime, expected: datetime
) -> None:
    bot.add(a_row(1, open_date=opened, close_date=opened + timedelta(hours=1)))
    reader = reader_of(bot.url, source_timezone=zone)

    [trade] = reader.closed_trades(closed_since=expected.replace(tzinfo=UTC) + timedelta(hours=1))

    assert trade.open_date == expected.replace(tzinfo=UTC)


def test_open_given_the_hour_that_is_told_twice_then_the_close_is_after_the_entry(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1, open_date=datetime.fromisoformat("2025-10-26 02:50"), close_date=datetime.fromisoformat("2025-10-26 02:10")))

    [trade] = reader_of(bot.url, source_timezone="Europe/Berlin").closed_trades(closed_since=None)

    assert trade.close_date == datetime(2025, 10, 26, 1, 10, tzinfo=UTC)


def test_open_given_a_column_is_missing_then_names_it(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.execute("ALTER TABLE trades DROP COLUMN close_rate")
    bot.execute("ALTER TABLE trades DROP COLUMN fee_close")

    with pytest.raises(DataError, match="its table `trades` lacks close_rate, fee_close"):
        reader_of(bot.url)


def test_open_given_an_optional_column_is_missing_then_reads_without_it(bot: FreqtradeDb, reader_of: Reader) -> None:
    bot.add(a_row(1))
    bot.execute("ALTER TABLE trades DROP COLUMN enter_tag")

    [trade] = reader_of(bot.url).closed_trades(closed_since=None)

    assert trade.enter_tag is None


def test_open_given_a_database_before_2022_4_then_tells_the_remedy(new_store: NewStore, reader_of: Reader) -> None:
    bot = FreqtradeDb(new_store())
    bot.execute("ALTER TABLE trades RENAME COLUMN exit_reason TO sell_reason")

    with pytest.raises(DataError, match=r"before 2022.4 .*lacks exit_reason.* on a copy of it"):
        reader_of(bot.url)


def test_open_given_another_programs_database_then_says_so(new_store: NewStore, reader_of: Reader) -> None:
    url = new_store()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE songs (title TEXT)")

    with pytest.raises(StoreError, match=r"no freqtrade database: it has no table `trades` \(tables: songs"):
        reader_of(url)


def test_read_given_a_writer_in_wal_mode_then_sees_what_was_committed(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    bot = FreqtradeDb(f"sqlite:///{path}")
    bot.execute("PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(path)) as writer:
        bot.add(a_row(1))
        writer.execute("UPDATE trades SET close_profit = 9 WHERE id = 1")

        [trade] = reader_of(str(path)).closed_trades(closed_since=None)

    assert trade.close_profit == 0.0449


def test_read_given_a_database_then_its_bytes_stay(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    FreqtradeDb(f"sqlite:///{path}", age="2022.4").add(a_row(1))
    before = path.read_bytes()

    reader = reader_of(str(path))
    reader.read_all()
    reader.close()

    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["tradesv3.sqlite"]


def at_rest(path: Path) -> FreqtradeDb:
    bot = FreqtradeDb(f"sqlite:///{path}")
    bot.execute("PRAGMA journal_mode = WAL")
    bot.add(a_row(1))
    return bot


def test_read_given_a_resting_database_in_wal_mode_then_leaves_no_file_beside_it(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    at_rest(path)

    reader = reader_of(str(path), leaves_no_trace=True)
    found = reader.read_all()
    reader.close()

    assert ids([*found.closed]) == [1]
    assert [found.name for found in tmp_path.iterdir()] == ["tradesv3.sqlite"]


def test_read_given_a_bot_that_runs_then_sees_its_log_without_a_trace(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    bot = at_rest(path)
    with closing(sqlite3.connect(path)) as running:
        running.execute("SELECT count(*) FROM trades").fetchone()
        bot.add(a_row(2))

        found = reader_of(str(path), leaves_no_trace=True).closed_trades(closed_since=None)

    assert ids(found) == [1, 2]


def test_read_given_a_bot_that_starts_meanwhile_then_says_so(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    bot = at_rest(path)
    reader = reader_of(str(path), leaves_no_trace=True)
    bot.add(a_row(2))

    with pytest.raises(StoreBusyError, match="was opened by its bot while it was read: run it again"):
        reader.read_all()


def test_read_given_a_locked_file_then_says_busy(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    FreqtradeDb(f"sqlite:///{path}").add(a_row(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreBusyError, match=r"tradesv3\.sqlite is locked by another process"):
            reader_of(str(path), busy_timeout_s=0.01)


def test_read_given_a_damaged_file_then_says_so(tmp_path: Path, reader_of: Reader) -> None:
    path = tmp_path / "tradesv3.sqlite"
    FreqtradeDb(f"sqlite:///{path}").add(*(a_row(number) for number in range(1, 500)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 4] + b"\xa5" * (len(whole) * 3 // 4))

    with pytest.raises(StoreError, match="no readable SQLite database"):
        reader_of(str(path)).read_all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.sqlite", "does not exist"),
        ("folder", "is not a file"),
        ("text.sqlite", "no readable SQLite"),
        ("empty.sqlite", "no table `trades`"),
    ],
)
def test_open_given_no_database_then_names_the_remedy(tmp_path: Path, reader_of: Reader, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be taken for one\n" * 20)
    (tmp_path / "empty.sqlite").touch()

    with pytest.raises(StoreError, match=message):
        reader_of(str(tmp_path / name))


@pytest.mark.parametrize("address", ["mysql://root@localhost/bot", "sqlite://", "://"])
def test_open_given_an_address_that_is_none_then_says_what_is(reader_of: Reader, address: str) -> None:
    with pytest.raises(SettingsError, match=r"SQLite (or|and) PostgreSQL|neither a file nor a valid URL"):
        reader_of(address)


def test_open_given_no_such_zone_then_says_so(tmp_path: Path, reader_of: Reader) -> None:
    bot = FreqtradeDb(f"sqlite:///{tmp_path / 'a.sqlite'}")

    with pytest.raises(SettingsError, match="source_timezone 'Mars/Base' is not a time zone"):
        reader_of(bot.url, source_timezone="Mars/Base")


def test_open_given_a_server_that_is_not_there_then_says_so(tmp_path: Path, reader_of: Reader) -> None:
    with pytest.raises(StoreBusyError, match="cannot be reached"):
        reader_of(f"postgresql://bot@/bot?host={tmp_path}")


@pytest.mark.postgres
def test_read_given_a_role_that_may_only_select_then_reads(postgres: Any, reader_of: Reader) -> None:
    bot = FreqtradeDb(postgres.new_database())
    bot.add(a_row(1))
    name = sa.make_url(bot.url).database
    bot.execute(f"CREATE ROLE reader_{name} LOGIN; GRANT SELECT ON trades, orders TO reader_{name}")

    reader = reader_of(bot.url.replace("bot3@", f"reader_{name}@"))

    assert ids(reader.closed_trades(closed_since=None)) == [1]


@pytest.mark.postgres
def test_open_given_an_unknown_database_then_names_the_remedy(postgres: Any, reader_of: Reader) -> None:
    with pytest.raises(StoreError, match=r"rejects this user or database|cannot be reached"):
        reader_of(postgres.url("nobody_made_it"))
