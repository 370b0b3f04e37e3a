"""Whatever happens to a foreign database, the record ends as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.adapters.sql.record.trades import SqlTrades
from bot3.errors import StoreBusyError
from bot3.ports.record import SyncOutcome
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import UnreliableReader
from bot3.usecases.learning.sync_trades import TradeSync, reconcile, sync_trades
from tests.conftest import NewStore
from tests.servers.freqtrade_db import OPENED, FreqtradeDb, a_row, an_order

IDS = st.integers(min_value=1, max_value=5)
DAYS = st.integers(min_value=0, max_value=30)
STEPS = st.one_of(
    st.tuples(st.just("close"), IDS, DAYS),
    st.tuples(st.just("correct"), IDS, DAYS),
    st.tuples(st.just("delete"), IDS, DAYS),
    st.tuples(st.just("reuse"), IDS, DAYS),
    st.tuples(st.just("reopen"), IDS, DAYS),
    st.tuples(st.just("sync"), IDS, DAYS),
    st.tuples(st.just("restart"), IDS, DAYS),
    st.tuples(st.just("source away"), IDS, DAYS),
    st.tuples(st.just("record fails"), IDS, DAYS),
    st.tuples(st.just("killed after a write"), IDS, DAYS),
)


class ShakyTrades:
    """A `TradeRepository` that fails at one of its next writes, before or after it took place."""

    def __init__(self, trades: SqlTrades) -> None:
        self._trades = trades
        self.fails_before = self.fails_after = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trades, name)

    def upsert(self, trades: Sequence[Trade]) -> SyncOutcome:
        return self._shaken(lambda: self._trades.upsert(trades))

    def delete(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        return self._shaken(lambda: self._trades.delete(bot=bot, run_mode=run_mode, keys=keys))

    def _shaken(self, write: Callable[[], SyncOutcome]) -> SyncOutcome:
        if self._counts_down("fails_before"):
            raise StoreBusyError("the record is locked")
        outcome = write()
        if self._counts_down("fails_after"):
            raise StoreBusyError("killed once it was written")
        return outcome

    def _counts_down(self, name: str) -> bool:
        left = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return bool(left == 1)


class World:
    """A foreign bot, the record, and the sync between them, all of which can fail."""

    def __init__(self, bot: FreqtradeDb, *, address: str, record_url: str) -> None:
        self.bot, self.address, self.record_url = bot, address, record_url
        self.is_away = False
        self.now_s = 0.0
        self.open()

    def open(self) -> None:
        self.record = SqlRecord.open(self.record_url)
        self.trades = ShakyTrades(self.record.trades)
        self.reader = UnreliableReader(
            bot="GRID7", run_mode=RunMode.LIVE, store_id="grid", connect=self.connect, monotonic=lambda: self.now_s
        )

    def connect(self) -> FreqtradeColumns:
        if self.is_away:
            raise StoreBusyError("the server cannot be reached")
        return FreqtradeColumns.open(self.address, bot="GRID7", run_mode=RunMode.LIVE)

    def close(self) -> None:
        self.reader.close()
        self.record.close()

    def sync(self, *, full: bool = False) -> TradeSync:
        self.now_s += 60.0
        return sync_trades(self.reader, self.trades, run_mode=RunMode.LIVE, full=full)

    def take(self, step: tuple[str, int, int]) -> None:
        kind, trade_id, day = step
        opened = OPENED + timedelta(days=day)
        row = a_row(trade_id, open_date=opened, close_date=opened + timedelta(hours=2), close_profit=day / 100.0)
        trades, own = self.bot.trades, self.bot.trades.c.id == trade_id
        writes: dict[str, Callable[[], object]] = {
            "close": lambda: None if trade_id in self.ids() else self.bot.add(row),
            "correct": lambda: self.run(trades.update().where(own).values(close_profit=day / 50.0)),
            "delete": lambda: self.run(trades.delete().where(own)),
            "reuse": lambda: (self.run(trades.delete().where(own)), self.bot.add(row)),
            "reopen": lambda: self.run(trades.update().where(own).values(is_open=True)),
        }
        writes.get(kind, lambda: self.shaken(kind, count=1 + day % 2))()

    def ids(self) -> set[int]:
        with read_directly(self.address) as reader:
            return {trade.trade_id for trade in (*reader.closed_trades(closed_since=None), *reader.open_trades())}

    def run(self, statement: sa.Executable) -> None:
        with self.bot.engine.begin() as connection:
            connection.execute(statement)

    def shaken(self, kind: str, *, count: int) -> None:
        if kind == "restart":
            self.close()
            self.open()
        self.is_away = kind == "source away"
        if self.is_away:
            self.reader.close()
        self.trades.fails_before = count if kind == "record fails" else 0
        self.trades.fails_after = count if kind == "killed after a write" else 0
        try:
            synced = self.sync()
        except StoreBusyError:
            assert kind not in {"sync", "restart"}
        else:
            assert synced.is_reconciled
        self.is_away, self.trades.fails_before, self.trades.fails_after = False, 0, 0


@contextmanager
def read_directly(address: str) -> Iterator[FreqtradeColumns]:
    reader = FreqtradeColumns.open(address, bot="GRID7", run_mode=RunMode.LIVE)
    try:
        yield reader
    finally:
        reader.close()


def facts_of_source(address: str) -> list[tuple[Any, ...]]:
    with read_directly(address) as reader:
        trades = reader.closed_trades(closed_since=None)
    return sorted((t.trade_id, t.open_date, t.close_date, t.close_profit, t.exit_reason) for t in trades)


def facts_of_record(record: Any) -> list[tuple[Any, ...]]:
    frame = record.trades.frame(as_of=None, run_modes=(RunMode.LIVE,))
    columns = (frame[name].tolist() for name in ("trade_id", "open_date", "close_date", "close_profit", "exit_reason"))
    return sorted(zip(*columns, strict=True))


@given(steps=st.lists(STEPS, max_size=14))
@settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_sync_given_any_interleaving_then_the_record_is_the_source(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bot = FreqtradeDb(sqlite_url(Path(folder) / "grid7.sqlite"))
        world = World(bot, address=str(Path(folder) / "grid7.sqlite"), record_url=sqlite_url(Path(folder) / "platform.sqlite"))

        for step in steps:
            world.take(step)
        nightly = world.sync(full=True)
        again = world.sync()

        assert facts_of_record(world.record) == facts_of_source(world.address)
        assert nightly.is_reconciled
        assert again.changed == 0
        world.close()


def test_reconcile_given_ids_on_one_side_only_then_names_them(new_store: NewStore, tmp_path: Path) -> None:
    bot = FreqtradeDb(new_store())
    bot.add(*(a_row(number) for number in (1, 2, 3)))
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    with read_directly(bot.url) as reader:
        sync_trades(reader, record.trades, run_mode=RunMode.LIVE)
        bot.execute("DELETE FROM trades WHERE id = 1")
        bot.add(a_row(7), a_row(8))

        compared = reconcile(reader, record.trades, run_mode=RunMode.LIVE)

    assert (compared.source_count, compared.record_count, compared.is_reconciled) == (4, 3, False)
    assert [trade_id for trade_id, _ in compared.missing] == [7, 8]
    assert [trade_id for trade_id, _ in compared.surplus] == [1]
    record.close()


def test_sync_given_trades_of_a_release_that_did_not_read_orders_then_reads_all_again(new_store: NewStore) -> None:
    bot, record_url = FreqtradeDb(new_store()), new_store()
    bot.add(a_row(1), a_row(2, close_date=OPENED + timedelta(days=60)))
    bot.add_orders(*(an_order(number, trade_id=1, side=side) for number, side in enumerate(("buy", "buy", "sell"))))
    record = SqlRecord.open(record_url)
    with closing(FreqtradeColumns.open(bot.url, bot="GRID7")) as reader:
        sync_trades(reader, record.trades, run_mode=RunMode.LIVE)
        engine = sa.create_engine(record_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE synced_trades SET digest = 'of that release', order_pattern = NULL, horizon = NULL")
        record.close()
        record = SqlRecord.open(record_url)

        first, second = (sync_trades(reader, record.trades, run_mode=RunMode.LIVE) for _ in range(2))

    assert (first.is_full, second.is_full) == (True, False)
    frame = record.trades.frame(as_of=None, run_modes=[RunMode.LIVE])
    assert frame["order_pattern"].tolist() == ["multiple", "unknown"]
    assert frame["horizon"].notna().all()
    record.close()
