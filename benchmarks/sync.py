"""Measure the sync of a bot's trades from PostgreSQL into the record and InfluxDB, and a tick that finds nothing new.

    TEST_INFLUXD=/path/to/influxd python -m benchmarks.sync [--trades 47733] [--rounds 3]

The bot's database is on a separate PostgreSQL with freqtrade's 51 columns and two orders for each trade; the record is a new SQLite file
in each round, and the copy a new bucket in each round, of a separate InfluxDB 2 (both servers are the test suite's: run the benchmark from
the repository). `own_s` is `sync_trades` and then `publish_learning`, without two parts: `record_write_s`, the record's own writing (INSERT
statements of trades, and every COMMIT), and `influx_write_s`, the HTTP requests to InfluxDB from the first byte sent to the response.
Everything else counts: reading the source, comparing, building the inserted rows, reading them back from the record, building line protocol
and request bodies. At the end, the copy in InfluxDB is compared with the record, trade by trade.
The rival does less: it loads trades with SQLAlchemy's ORM mapped as freqtrade's (orders are loaded with their trade) and builds
influxdb-client's Point objects and their lines; it writes no record and sends nothing. `ratio_orm_trades_only` is against the ORM without
orders. Both run in one process, round by round; figures are medians. Seconds are CPU seconds of this process, so that other processes and
the servers' own work do not count; `wall` reports the same in wall time, which includes PostgreSQL's work for the reads.
`idle_tick_ms` (wall) is a tick of the learning sensor while nothing is committed, on a home whose fleet is that bot: the record's revision,
every source's change token, and the time of the next due replay, without Dagster's own work. `idle_look_ms` (the change tokens) and
`idle_due_ms` (the next due replay) are the parts of it that repeat between ticks. `idle_count_ms` is the count of all closes in the sources
and in the record, made after a commit. `idle_sync_ms` is a sync that finds nothing new, as after a commit in another database of that
server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import sqlalchemy as sa
from influxdb_client import Point, WritePrecision
from numpy.typing import NDArray
from sqlalchemy import event
from sqlalchemy.orm import Session, registry, relationship

from benchmarks.idle_tick import idle_ms
from benchmarks.output import print_result, tell
from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.adapters.influx.dead_letters import DeadLetters
from bot3.adapters.influx.points import TRADE_KINDS
from bot3.adapters.influx.published_copy import InfluxCopy
from bot3.adapters.influx.publisher import InfluxPublisher
from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.ports.record import TradeRepository
from bot3.trading.trades import RunMode
from bot3.usecases.learning.sync_trades import sync_trades
from bot3.usecases.publishing.check import check_published
from bot3.usecases.publishing.publish import publish_learning

_T = TypeVar("_T")
Seconds = NDArray[np.float64]
BOT, MODE = "GRID7", RunMode.LIVE
PAIRS = 20
BATCH = 5_000


class FreqtradeTrade:
    """A trade mapped as in freqtrade's ORM: its orders are loaded with it."""


class BareTrade:
    """A trade mapped without its orders."""


class FreqtradeOrder:
    """An order of a trade."""


class Watch:
    """A stopwatch that adds up CPU and wall seconds."""

    def __init__(self) -> None:
        self.seconds = np.zeros(2)
        self._began: Seconds | None = None

    def begin(self, *_: Any) -> None:
        """Start a measurement; arguments are ignored."""
        self._began = _now()

    def end(self, *_: Any) -> None:
        """Add the time since the last start; without a start since the last end, nothing happens."""
        if self._began is not None:
            self.seconds += _now() - self._began
            self._began = None


def watch_record(engine: sa.Engine) -> Watch:
    """Return a stopwatch of the time in which an engine executes INSERT statements of synced trades, and commits."""
    watch = Watch()

    def begin(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO synced_trades"):
            watch.begin()

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", watch.end)
    event.listen(engine, "commit", watch.begin)
    event.listen(engine, "reset", watch.end)
    return watch


def watch_requests(server: InfluxServer) -> Watch:
    """Return a stopwatch of the requests to a server, each from sending to its response or error."""
    watch, manager = Watch(), server._client.api_client.rest_client.pool_manager  # noqa: SLF001  # only for a stopwatch
    request = manager.request

    def timed(*arguments: Any, **named: Any) -> Any:
        watch.begin()
        try:
            return request(*arguments, **named)
        finally:
            watch.end()

    manager.request = timed
    return watch


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trades", type=int, default=47_733)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # The suite's own servers and tables.
    servers, tables, influx = (import_module(f"tests.servers.{name}") for name in ("postgres", "freqtrade_db", "influx"))
    if not influx.is_available():
        raise SystemExit(influx.MISSING)
    with servers.PostgresServer() as server, influx.InfluxProgram() as program, tempfile.TemporaryDirectory() as folder:
        bot = tables.FreqtradeDb(server.new_database())
        fill(bot, tables, arguments.trades)
        result = measured(bot, program, Path(folder), rounds=arguments.rounds)
    print_result({"trades": arguments.trades, "rounds": arguments.rounds, **result})


def fill(bot: Any, tables: Any, count: int) -> None:
    """Insert closed trades with two orders each into the bot's database, and analyze it."""
    rng = np.random.default_rng(7)
    profits, rates = rng.normal(0.001, 0.02, count).tolist(), np.exp(rng.normal(4.0, 1.0, count)).tolist()
    for start in range(0, count, BATCH):
        numbers = range(start + 1, min(start + BATCH, count) + 1)
        bot.add(
            *(_row(tables.a_row, tables.OPENED + timedelta(minutes=7 * n), n, profit=profits[n - 1], rate=rates[n - 1]) for n in numbers)
        )
        bot.add_orders(
            *(tables.an_order(2 * n + place, trade_id=n, side=side) for n in numbers for place, side in enumerate(("buy", "sell")))
        )
    bot.execute("ANALYZE")
    tell(f"{count} trades, {2 * count} orders")


def _row(a_row: Callable[..., dict[str, Any]], opened: Any, number: int, *, profit: float, rate: float) -> dict[str, Any]:
    return a_row(
        number,
        pair=f"P{number % PAIRS:02d}/USDT:USDT",
        open_date=opened,
        close_date=opened + timedelta(minutes=60 + number % 600),
        open_rate=rate,
        close_rate=rate * (1.0 + profit / 5.0),
        close_profit=profit,
        close_profit_abs=40.0 * profit,
        enter_tag=f"F{1 + number % 10:02d}",
        leverage=1.0 + number % 10,
        is_short=number % 2 == 0,
    )


def measured(bot: Any, influx: Any, folder: Path, *, rounds: int) -> dict[str, Any]:
    """Run the sync and the rival in turns; return the medians as JSON fields."""
    _map(bot)
    ours, orm, bare = [], [], []
    for number in range(rounds):
        with Home(influx, folder / str(number)) as home:
            ours.append(home.sync_once(bot.url, is_compared=number == rounds - 1))
        orm.append(_seconds(lambda: _points(bot.engine, FreqtradeTrade)))
        bare.append(_seconds(lambda: _points(bot.engine, BareTrade)))
        last = {name: found[0] for name, found in ours[-1].items()}
        tell(
            f"own {last['own_s']:.3f} s, record {last['record_write_s']:.3f} s, InfluxDB {ours[-1]['influx_write_s'][1]:.3f} s (wall); "
            f"ORM {orm[-1][0]:.2f} s, without orders {bare[-1][0]:.2f} s"
        )
    medians = {name: np.median([one[name] for one in ours], axis=0) for name in ours[0]}
    rivals = {"orm_and_points_s": np.median(orm, axis=0), "orm_trades_only_and_points_s": np.median(bare, axis=0)}
    own = medians["own_s"]
    return {
        **{name: round(float(found[0]), 4) for name, found in medians.items()},
        **idle_ms(bot.url, folder / "idle", bot=BOT, run_mode=MODE),
        "ratio_orm": round(float(rivals["orm_and_points_s"][0] / own[0]), 1),
        "ratio_orm_trades_only": round(float(rivals["orm_trades_only_and_points_s"][0] / own[0]), 1),
        "rivals": {name: round(float(found[0]), 3) for name, found in rivals.items()},
        "wall": {name: round(float(found[1]), 4) for name, found in (medians | rivals).items()},
    }


class Home:
    """A new record, and a new copy of it in new buckets of an InfluxDB."""

    def __init__(self, influx: Any, folder: Path) -> None:
        self._record = SqlRecord.open(sqlite_url(folder / "record.sqlite"))
        self._server = InfluxServer(influx.address())
        forever, prefix = timedelta(0), influx.new_prefix()
        buckets = InfluxBuckets(learning=f"{prefix}learning", trades={BOT: f"{prefix}trades"}, learning_life=forever, trades_life=forever)
        letters = DeadLetters(folder / "letters.jsonl")
        self._publisher = InfluxPublisher(self._server, buckets=buckets, letters=letters, wall_now=_utc_now)
        self._copy = InfluxCopy(self._server, buckets=buckets, origin=self._record.origin, wall_now=_utc_now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._record.close()
        self._server.close()

    def sync_once(self, source_url: str, *, is_compared: bool) -> dict[str, Seconds]:
        """Sync all trades into the record and publish them, then time syncs that find nothing new.

        Returns CPU and wall seconds by name; `idle_sync_ms` is in milliseconds. With `is_compared`, the copy is compared with the record.

        Raises
        ------
        SystemExit
            If a trade was lost or refused, the source changed meanwhile, or the copy differs.
        """
        reader, record = FreqtradeColumns.open(source_url, bot=BOT, run_mode=MODE), self._record
        self._publisher.prepare(bots=(BOT,))
        writes, requests = watch_record(record._database.engine), watch_requests(self._server)  # noqa: SLF001  # stopwatches
        synced_s = _seconds(lambda: _require_whole(reader, record.trades))
        sync_write_s = writes.seconds.copy()
        published_s = _seconds(self._publish)
        write_s, sent_s = writes.seconds.copy(), requests.seconds.copy()
        token = reader.change_token()
        syncs = [_seconds(lambda: sync_trades(reader, record.trades, run_mode=MODE)) for _ in range(5)]
        if reader.change_token() != token:
            raise SystemExit("the bot's database changed while nothing was committed")
        reader.close()
        if is_compared:
            self._require_copy()
        return {
            "own_s": synced_s + published_s - write_s - sent_s,
            "own_sync_s": synced_s - sync_write_s,
            "own_publish_s": published_s - (write_s - sync_write_s) - sent_s,
            "record_write_s": write_s,
            "influx_write_s": sent_s,
            "idle_sync_ms": 1_000.0 * np.median(syncs, axis=0),
        }

    def _publish(self) -> None:
        report = publish_learning(self._record.outbox, self._publisher, run_modes=(MODE,))
        if report.refused or not report.points:
            raise SystemExit(f"InfluxDB accepted {report.points} points and refused {report.refused}")

    def _require_copy(self) -> None:
        """Compare the trades of the copy with the record's. Raises SystemExit if they differ."""
        found = check_published(self._record, self._copy, bots=(BOT,), now=_utc_now(), run_modes=(MODE,)).trades[BOT]
        tell(f"record {found.record} trades, InfluxDB {found.published}")
        if not found.is_equal:
            raise SystemExit(f"the copy in InfluxDB differs from the record: {found.record} trades, {found.published} points")


def _require_whole(reader: FreqtradeColumns, recorded: TradeRepository) -> None:
    synced = sync_trades(reader, recorded, run_mode=MODE)
    if not synced.is_reconciled or synced.outcome.inserted != synced.source_count:
        raise SystemExit(f"source {synced.source_count}, record {synced.record_count}: the sync lost trades")


def _map(bot: Any) -> None:
    mapped = registry()
    mapped.map_imperatively(FreqtradeOrder, bot.orders)
    mapped.map_imperatively(FreqtradeTrade, bot.trades, properties={"orders": relationship(FreqtradeOrder, lazy="selectin")})
    mapped.map_imperatively(BareTrade, bot.trades)


def _points(engine: sa.Engine, kind: type[Any]) -> list[str]:
    """Run the rival: load closed trades as ORM objects, build the client library's points, and return their lines."""
    with Session(engine) as session:
        trades = session.scalars(sa.select(kind).where(kind.is_open.is_(False))).all()
        return [_point(trade).to_line_protocol() for trade in trades]


_FIELDS = tuple(name for name, kind in TRADE_KINDS.items() if kind == "float")


def _point(trade: Any) -> Any:
    point = Point("trades").tag("bot", BOT).tag("run_mode", "live").tag("pair", trade.pair)
    point = point.tag("direction", "short" if trade.is_short else "long").tag("feeder_id", trade.enter_tag).tag("leverage_bin", "1.0-2.0")
    point = point.field("trade_id", trade.id).field("account", "foreign").field("is_short", trade.is_short)
    point = (
        point.field("open_date", trade.open_date.isoformat()).field("enter_tag", trade.enter_tag).field("exit_reason", trade.exit_reason)
    )
    for name in _FIELDS:
        point = point.field(name, getattr(trade, name))
    return point.time(trade.close_date, WritePrecision.NS)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _now() -> Seconds:
    return np.array([time.process_time(), time.perf_counter()])


def _seconds(work: Callable[[], _T]) -> Seconds:
    """Run a function; return its CPU and wall seconds."""
    began = _now()
    work()
    return _now() - began


if __name__ == "__main__":
    main()
