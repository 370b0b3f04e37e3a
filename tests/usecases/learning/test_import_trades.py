"""A foreign bot's closed trades, copied once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import SettingsError
from bot3.learning.replay.groups import SEVERAL_ORDERS
from bot3.ports.foreign_trades import RefusedTrade
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.trades import OrderPattern, RunMode, Trade
from bot3.usecases.learning.import_trades import import_trades, require_importable
from tests.journals import a_closed_trade, minutes
from tests.usecases.foreign import FakeForeignTrades, still_open


class OldBot(FakeForeignTrades):
    bot = "OLD"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqlRecord]:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    yield record
    record.close()


def closes(count: int) -> list[Trade]:
    return [a_closed_trade(number, bot="OLD", close_date=minutes(60 + number)) for number in range(1, count + 1)]


def test_import_given_closed_open_and_refused_then_copies_the_closed_and_tells_of_the_rest(record: SqlRecord) -> None:
    refused = RefusedTrade(trade_id=9, pair="X", reason="open_rate must be above 0", detail="0")
    heard: list[tuple[str, int, int]] = []

    done = import_trades(
        OldBot([*closes(3), still_open(a_closed_trade(4, bot="OLD"))], refused=[refused]),
        record.trades,
        run_mode=RunMode.PAPER,
        bins=DEFAULT_BINS,
        tell=lambda *told: heard.append(told),
        batch=2,
    )

    assert (done.inserted, done.unchanged, done.open, done.refused) == (3, 0, 1, (refused,))
    assert (done.first_close, done.last_close) == (minutes(61), minutes(63))
    assert heard == [("trades", 0, 3), ("trades", 2, 3), ("trades", 3, 3)]


def test_import_given_several_orders_and_none_then_names_the_trades_that_nothing_is_learned_from(record: SqlRecord) -> None:
    patterns = (OrderPattern.SINGLE, OrderPattern.MULTIPLE, OrderPattern.UNKNOWN)
    trades = [replace(trade, order_pattern=pattern) for trade, pattern in zip(closes(3), patterns, strict=True)]

    done = import_trades(OldBot(trades), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)

    assert (done.inserted, done.without_orders) == (3, 1)
    assert [(unused.reason, unused.trade_ids) for unused in done.left_out] == [(SEVERAL_ORDERS, (2,))]
    assert record.trades.frame(as_of=None, run_modes=[RunMode.PAPER])["order_pattern"].tolist() == ["single", "multiple", "unknown"]
    assert record.trades.counts()[["several_orders", "outdated"]].to_numpy().tolist() == [[1, 0]]


def test_import_given_leverage_above_10_then_records_and_counts_what_is_left_out_of_learning(record: SqlRecord) -> None:
    high = replace(a_closed_trade(9, bot="OLD", close_date=minutes(80)), leverage=20.0)

    done = import_trades(OldBot([*closes(2), high]), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)

    assert (done.inserted, [(unused.reason, unused.trade_ids) for unused in done.left_out]) == (3, [("leverage outside the bins", (9,))])
    kept = record.trades.frame(as_of=None, run_modes=[RunMode.PAPER])
    assert kept.loc[kept["trade_id"] == 9, "leverage_bin"].tolist() == [DEFAULT_BINS.outside[-1]]


def test_import_given_the_same_twice_then_the_record_stays_as_it_is(record: SqlRecord) -> None:
    import_trades(OldBot(closes(3)), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)
    revision = record.revision()

    again = import_trades(OldBot(closes(3)), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)

    assert (again.inserted, again.unchanged, record.revision()) == (0, 3, revision)


def test_import_given_a_database_that_lost_trades_then_the_record_keeps_them(record: SqlRecord) -> None:
    import_trades(OldBot(closes(3)), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)

    import_trades(OldBot(closes(1)), record.trades, run_mode=RunMode.PAPER, bins=DEFAULT_BINS)

    assert len(record.trades.keys(bot="OLD", run_mode=RunMode.PAPER, closed_since=None)) == 3


def test_require_importable_given_trades_of_a_source_then_refuses() -> None:
    synced = {("BOT1", RunMode.PAPER)}

    require_importable("BOT1", run_mode=RunMode.LIVE, synced=synced)
    with pytest.raises(SettingsError, match="paper trades of BOT1 are synced"):
        require_importable("BOT1", run_mode=RunMode.PAPER, synced=synced)
