"""One suite for every `TradeReader`: on a store of ours and on freqtrade's own database, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot3.adapters.freqtrade.trades import FreqtradeTrades
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.bot.tables import trades
from bot3.adapters.sql.bot.trade_rows import trade_row
from bot3.adapters.sql.record.record import SqlRecord
from bot3.ports.trades import TradeReader
from bot3.trading.horizons import Horizon
from bot3.trading.trades import OrderPattern, RunMode, Trade
from bot3.usecases.learning.sync_trades import sync_trades
from tests.conftest import NewStore
from tests.journals import ACCOUNT, OPENED, PAIR, a_closed_trade, minutes
from tests.servers.freqtrade_db import FreqtradeDb, an_order

Write = Callable[[Trade], None]
IDENTITY = {"bot": "BOT1", "run_mode": RunMode.PAPER, "account": ACCOUNT}


class Source:
    """A database with a reader on it; `write` is another connection's."""

    def __init__(self, reader: TradeReader, write: Write, *, url: str) -> None:
        self.reader = reader
        self.write = write
        self.url = url

    def write_orders(self, trade_id: int, *sides: str) -> None:
        """Add filled orders to a trade; all databases have freqtrade's columns."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        orders = sa.Table("orders", sa.MetaData(), autoload_with=engine, resolve_fks=False)
        rows = [an_order(100 * trade_id + number, trade_id=trade_id, side=side) for number, side in enumerate(sides)]
        with engine.begin() as connection:
            connection.execute(orders.insert(), [{name: row[name] for name in row if name in orders.c} for row in rows])


@pytest.fixture(params=["ours", "freqtrade 2026.9", "freqtrade 2022.4"])
def source(request: pytest.FixtureRequest, new_store: NewStore) -> Iterator[Source]:
    url = new_store()
    if request.param == "ours":
        writer = SqlBotStore.open(url, **IDENTITY)
        reader = SqlBotStore.open(url, **IDENTITY, read_only=True)
        yield Source(reader, lambda trade: write_ours(url, trade) if trade.is_open else writer.import_trades([trade]) and None, url=url)
        writer.close()
        reader.close()
        return
    database = FreqtradeDb(url, age=str(request.param).removeprefix("freqtrade "))
    foreign = FreqtradeTrades.open(url, **IDENTITY)
    yield Source(foreign, lambda trade: database.add(trade_row(trade, exchange="binance", strategy="Sample")), url=url)
    foreign.close()


def write_ours(url: str, trade: Trade) -> None:
    """Write an open trade's row as the projection would: only finished trades can be imported."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(trades.insert(), [trade_row(trade, exchange="paper", strategy="Sample")])


def open_one(trade_id: int) -> Trade:
    nothing = dict.fromkeys(("close_date", "close_rate", "close_profit", "close_profit_abs", "exit_reason"))
    return a_closed_trade(trade_id, is_open=True, **nothing)


def ids(found: list[Trade]) -> list[int]:
    return [trade.trade_id for trade in found]


def test_closed_trades_given_one_then_returns_it_whole(source: Source) -> None:
    trade = a_closed_trade(
        3, is_short=True, min_rate=99.0, max_rate=102.0, liquidation_price=119.0, funding_fees=-0.2, enter_tag="F07|c=0.7"
    )
    source.write(trade)
    source.write_orders(3, "sell", "buy")

    assert source.reader.closed_trades(closed_since=None) == [trade]
    assert source.reader.bot == "BOT1"


def test_closed_trades_given_one_of_our_own_with_a_horizon_then_returns_it(new_store: NewStore) -> None:
    url = new_store()
    with closing(SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)) as store:
        write_ours(url, a_closed_trade(1, horizon=Horizon.THREE_DAYS))

        assert [trade.horizon for trade in store.closed_trades(closed_since=None)] == [Horizon.THREE_DAYS]


def test_closed_trades_given_a_time_then_it_is_in_and_what_is_before_is_out(source: Source) -> None:
    for number in (3, 1, 2):
        source.write(a_closed_trade(number, close_date=minutes(number)))

    assert ids(source.reader.closed_trades(closed_since=None)) == [1, 2, 3]
    assert ids(source.reader.closed_trades(closed_since=minutes(2))) == [2, 3]
    assert [source.reader.count_closed(closed_since=since) for since in (None, minutes(2), minutes(4))] == [3, 2, 0]


MULTIPLE = {"long dca": ("buy", "buy", "sell"), "short dca": ("sell", "sell", "buy"), "partial exit": ("buy", "sell", "stoploss")}
SINGLE = {"long": ("buy", "sell"), "short": ("sell", "buy"), "stopped long": ("buy", "stoploss"), "stopped short": ("sell", "stoploss")}


@pytest.mark.parametrize(
    ("sides", "pattern"),
    [*((sides, OrderPattern.MULTIPLE) for sides in MULTIPLE.values()), *((sides, OrderPattern.SINGLE) for sides in SINGLE.values())],
    ids=[*MULTIPLE, *SINGLE],
)
def test_closed_trades_given_filled_orders_then_they_decide_the_pattern(
    source: Source, sides: tuple[str, ...], pattern: OrderPattern
) -> None:
    is_short = sides[0] == "sell"
    source.write(a_closed_trade(3, is_short=is_short))
    source.write(a_closed_trade(4, close_date=minutes(61)))
    source.write_orders(3, *sides)
    source.write_orders(4, "buy", "sell")

    found = {since: source.reader.closed_trades(closed_since=since) for since in (None, minutes(60), minutes(61))}

    assert [trade.order_pattern for trade in found[None]] == [pattern, OrderPattern.SINGLE]
    assert found[minutes(60)] == found[None]
    assert [trade.order_pattern for trade in found[minutes(61)]] == [OrderPattern.SINGLE]
    assert source.reader.trades_frame(limit=2, offset=0).set_index("trade_id")["order_pattern"].to_dict() == {3: pattern, 4: "single"}


def test_open_trades_given_both_then_returns_the_open_ones(source: Source) -> None:
    source.write(a_closed_trade(1))
    source.write(open_one(2))
    source.write_orders(2, "buy")

    assert source.reader.open_trades() == [open_one(2)]
    assert ids(source.reader.closed_trades(closed_since=None)) == [1]


def test_trades_frame_given_pages_then_newest_open_is_first_and_columns_are_the_fields(source: Source) -> None:
    for number in (1, 2, 3):
        source.write(replace(a_closed_trade(number), open_date=OPENED + timedelta(minutes=number)))

    first, second = (source.reader.trades_frame(limit=2, offset=offset) for offset in (0, 2))

    assert (first["trade_id"].tolist(), second["trade_id"].tolist()) == ([3, 2], [1])
    assert list(first.columns) == [field.name for field in fields(Trade)]
    assert first["pair"].tolist() == [PAIR] * 2
    assert {str(first[name].dtype) for name in ("open_date", "close_date")} == {"datetime64[us, UTC]"}


def test_change_token_given_a_commit_elsewhere_then_differs_and_else_stays(source: Source) -> None:
    before = source.reader.change_token()
    assert source.reader.change_token() == before

    source.write(a_closed_trade(1))

    assert source.reader.change_token() != before


def test_sync_given_a_source_then_the_record_holds_the_same_and_twice_changes_nothing(source: Source, new_store: NewStore) -> None:
    for number in (1, 2):
        source.write(a_closed_trade(number, close_date=minutes(number)))
    source.write(open_one(3))
    record = SqlRecord.open(new_store())

    first, second = (sync_trades(source.reader, record.trades, run_mode=RunMode.PAPER) for _ in range(2))

    assert (first.outcome.inserted, first.is_reconciled) == (2, True)
    assert (second.changed, second.is_reconciled) == (0, True)
    assert record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None) == {(1, OPENED), (2, OPENED)}
    record.close()
