"""Trades with several entries, from a bot's database to learning: whichever way they come, nothing is learned from them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.learning.import_trades import import_trades
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.replay_trades import replay_trades
from bot3.usecases.learning.sync_trades import sync_trades
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_order
from tests.usecases.foreign import DAYS, START, MarketCandles, market, random_walk, trades_on

Take = Callable[[FreqtradeColumns, SqlRecord], object]


def by_sync(reader: FreqtradeColumns, record: SqlRecord) -> object:
    return sync_trades(reader, record.trades, run_mode=RunMode.LIVE)


def by_import(reader: FreqtradeColumns, record: SqlRecord) -> object:
    return import_trades(reader, record.trades, run_mode=RunMode.LIVE, bins=DEFAULT_BINS)


def a_row_of(trade: Trade, *, falls: float) -> dict[str, Any]:
    """Return freqtrade's row of a trade that bought as much again after the price fell."""
    assert trade.close_date is not None
    dates = {"open_date": trade.open_date.replace(tzinfo=None), "close_date": trade.close_date.replace(tzinfo=None)}
    return a_row(trade.trade_id, pair=trade.pair, open_rate=trade.open_rate * (1.0 - falls / 2.0), exit_reason="exit_signal", **dates)


def learned_states(
    directory: Path, candles: MarketCandles, rows: list[dict[str, Any]], orders: list[dict[str, Any]], take: Take
) -> list[str]:
    """Return the states of the replays that learning makes of a database."""
    bot = FreqtradeDb(sqlite_url(directory / "bot.sqlite"))
    bot.add(*rows)
    if orders:
        bot.add_orders(*orders)
    record = SqlRecord.open(sqlite_url(directory / "platform.sqlite"))
    with closing(record), closing(FreqtradeColumns.open(bot.url, bot="GRID7")) as reader:
        take(reader, record)
        session = LearnerSession(ParameterLearner(LearningSettings()))
        replay_trades(record, session, candles, run_modes=[RunMode.LIVE], now=START + timedelta(days=DAYS))
        return sorted(record.replays.frame(as_of=None, run_modes=[RunMode.LIVE])["state"].tolist())


@pytest.mark.parametrize("take", [by_sync, by_import])
def test_learning_given_trades_of_two_entries_then_leaves_them_out(tmp_path: Path, take: Take) -> None:
    candles = market(random_walk)
    several, single = trades_on(candles)[:4], trades_on(candles)[10:13]
    rows = [*(a_row_of(trade, falls=0.001) for trade in several), *(a_row_of(trade, falls=0.0) for trade in single)]
    sides = [*((trade, ("buy", "buy", "sell")) for trade in several), *((trade, ("buy", "sell")) for trade in single)]
    orders = [(trade.trade_id, side) for trade, own in sides for side in own]

    states = learned_states(tmp_path, candles, rows, [an_order(n, trade_id=of, side=side) for n, (of, side) in enumerate(orders)], take)

    assert states == ["complete"] * 3 + ["left_out"] * 4


@pytest.mark.parametrize("take", [by_sync, by_import])
def test_learning_given_trades_of_two_entries_without_orders_then_leaves_them_out(tmp_path: Path, take: Take) -> None:
    candles = market(random_walk)

    states = learned_states(tmp_path, candles, [a_row_of(trade, falls=0.03) for trade in trades_on(candles)[:6]], [], take)

    assert states == ["left_out"] * 6


@pytest.mark.parametrize("take", [by_sync, by_import])
def test_learning_given_single_entries_without_orders_then_uses_them(tmp_path: Path, take: Take) -> None:
    candles = market(random_walk)

    states = learned_states(tmp_path, candles, [a_row_of(trade, falls=0.0) for trade in trades_on(candles)[:6]], [], take)

    assert states == ["complete"] * 6
