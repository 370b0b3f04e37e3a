"""One suite for every `TradeReader`: on a store of ours and on freqtrade's own database, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot3.adapters.freqtrade_trades import FreqtradeTrades
from bot3.adapters.sql_bot_store import SqlBotStore
from bot3.adapters.sql_record import SqlRecord
from bot3.adapters.sql_tables_bot import trades
from bot3.adapters.sql_trade_rows import trade_row
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.sync_trades import sync_trades
from tests.conftest import NewStore
from tests.journals import ACCOUNT, OPENED, PAIR, a_closed_trade, minutes
from tests.servers.freqtrade_db import FreqtradeDb

Write = Callable[[Trade], None]
IDENTITY = {"bot": "BOT1", "run_mode": RunMode.PAPER, "account": ACCOUNT}


class Source:
    """A database with a reader on it; `write` is another connection's."""

    def __init__(self, reader: TradeReader, write: Write) -> None:
        self.reader = reader
        self.write = write


@pytest.fixture(params=["ours", "freqtrade 2026.9", "freqtrade 2022.4"])
def source(request: pytest.FixtureRequest, new_store: NewStore) -> Iterator[Source]:
    url = new_store()
    if request.param == "ours":
        writer = SqlBotStore.open(url, **IDENTITY)
        reader = SqlBotStore.open(url, **IDENTITY, read_only=True)
        yield Source(reader, lambda trade: write_ours(url, trade) if trade.is_open else writer.import_trades([trade]) and None)
        writer.close()
        reader.close()
        return
    database = FreqtradeDb(url, age=str(request.param).removeprefix("freqtrade "))
    foreign = FreqtradeTrades.open(url, **IDENTITY)
    yield Source(foreign, lambda trade: database.add(trade_row(trade, exchange="binance", strategy="Sample")))
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

    assert source.reader.closed_trades(closed_since=None) == [trade]
    assert source.reader.bot == "BOT1"


def test_closed_trades_given_a_time_then_it_is_in_and_what_is_before_is_out(source: Source) -> None:
    for number in (3, 1, 2):
        source.write(a_closed_trade(number, close_date=minutes(number)))

    assert ids(source.reader.closed_trades(closed_since=None)) == [1, 2, 3]
    assert ids(source.reader.closed_trades(closed_since=minutes(2))) == [2, 3]
    assert [source.reader.count_closed(closed_since=since) for since in (None, minutes(2), minutes(4))] == [3, 2, 0]


def test_open_trades_given_both_then_returns_the_open_ones(source: Source) -> None:
    source.write(a_closed_trade(1))
    source.write(open_one(2))

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

    first, second = (sync_trades(source.reader, record, run_mode=RunMode.PAPER) for _ in range(2))

    assert (first.outcome.inserted, first.is_reconciled) == (2, True)
    assert (second.changed, second.is_reconciled) == (0, True)
    assert record.trade_keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None) == {(1, OPENED), (2, OPENED)}
    record.close()
