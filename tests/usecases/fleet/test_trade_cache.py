"""What is kept in memory equals what the stores hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import LearningError
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.trade_cache import ALL_MODES, BotCloses, RecordedTrades, known
from tests.journals import OPENED, a_closed_trade


class FakeReader:
    """A bot's closed trades in memory; every change is another token. It counts the trades that it was asked for."""

    bot = "BOT1"
    store_id = "fake"

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.read = 0

    def change_token(self) -> str:
        return str(hash(tuple(self.trades)))

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        found = [trade for trade in self.trades if closed_since is None or trade.close_date >= closed_since]
        self.read += len(found)
        return sorted(found, key=lambda trade: (trade.close_date, trade.trade_id))

    def open_trades(self) -> list[Trade]:
        return []

    def count_closed(self, *, closed_since: datetime | None) -> int:
        return sum(closed_since is None or trade.close_date >= closed_since for trade in self.trades)

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        raise NotImplementedError


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqlRecord]:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    yield record
    record.close()


def a_close(number: int, *, hours: float, **changes: object) -> Trade:
    return a_closed_trade(number, open_date=OPENED, close_date=OPENED + timedelta(hours=hours), **changes)


@given(st.lists(st.tuples(st.floats(min_value=0.0, max_value=400.0), st.booleans()), max_size=25))
@settings(max_examples=40, deadline=None)
def test_bot_closes_given_closes_in_any_order_and_deletions_then_equal_a_full_read(steps: list[tuple[float, bool]]) -> None:
    reader = FakeReader()
    kept = BotCloses(reader)

    for number, (hours, removes) in enumerate(steps, start=1):
        if removes and reader.trades:
            reader.trades.pop(0)
        else:
            reader.trades.append(a_close(number, hours=hours))
        found = kept.frame()

        assert found["close_date"].is_monotonic_increasing
        assert sorted(found["trade_id"]) == sorted(trade.trade_id for trade in reader.trades)


def test_bot_closes_given_one_more_close_then_reads_only_the_newest() -> None:
    reader = FakeReader()
    reader.trades = [a_close(number, hours=float(number)) for number in range(1, 501)]
    kept = BotCloses(reader)
    kept.frame()
    reader.read = 0

    reader.trades.append(a_close(501, hours=500.5))
    found = kept.frame()

    assert len(found) == 501
    assert reader.read < 10


def test_bot_closes_given_no_change_then_reads_nothing() -> None:
    reader = FakeReader()
    reader.trades = [a_close(1, hours=1.0)]
    kept = BotCloses(reader)
    kept.frame()
    reader.read = 0

    kept.frame()

    assert reader.read == 0


def test_recorded_trades_given_inserts_updates_and_deletions_then_equal_a_full_read(record: SqlRecord) -> None:
    kept = RecordedTrades(record)
    assert kept.frame()[0].empty

    record.trades.upsert([a_close(1, hours=1.0), a_close(2, hours=2.0), a_close(3, hours=3.0)])
    assert list(kept.frame()[0]["trade_id"]) == [1, 2, 3]

    record.trades.upsert([a_close(2, hours=9.0, close_profit=-0.5), a_close(4, hours=4.0)])
    assert list(kept.frame()[0]["trade_id"]) == [1, 3, 4, 2]
    assert kept.frame()[0]["close_profit"].iloc[-1] == -0.5

    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, OPENED)])
    found, revision = kept.frame()

    whole = record.trades.frame(as_of=None, run_modes=ALL_MODES)
    pd.testing.assert_frame_equal(found, whole)
    assert revision == record.revision()
    assert int(kept.counts()["trades"].sum()) == 3


def test_known_given_nothing_learned_then_tells_what_is_missing(record: SqlRecord) -> None:
    found = known(lambda: record.parameters.as_of(OPENED))

    assert found.value is None
    assert "bot3 learn run" in found.problem


def test_known_given_another_error_then_lets_it_pass() -> None:
    def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        known(fail)


def test_known_given_a_value_then_returns_it() -> None:
    assert known(lambda: 3).value == 3
    assert issubclass(LearningError, Exception)
