"""A fleet's trades into the record: all of them from PostgreSQL at once, and a tick that finds nothing new.

    python -m benchmarks.sync [--trades 47733] [--rounds 3]

The bot's database is a PostgreSQL of its own (the test suite's: run it from the repository) with freqtrade's 51 columns and two orders a
trade; the record is a SQLite file, new each round. `own_s` is the whole sync and the making of InfluxDB's line protocol from the record,
apart from what the record takes to write (INSERT); nothing is sent. The rival does the same apart from writing: SQLAlchemy's ORM mapped as
freqtrade's (orders come with their trade) and influxdb-client's Point objects; `ratio_orm_trades_only` is against the ORM without orders.
Both in one process, round by round, medians. Seconds are of this process' processor, so that neighbours on the machine and the server's own
work do not count; `wall` tells the same by the clock on the wall.
`idle_tick_ms` (wall) is what the sensor does while nothing is committed; `idle_sync_ms` (processor) a sync that finds nothing new, as after
a commit of another database of that server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from influxdb_client import Point, WritePrecision
from numpy.typing import NDArray
from sqlalchemy import event
from sqlalchemy.orm import Session, registry, relationship

from benchmarks.output import print_result, tell
from bot3.adapters.freqtrade_columns import FreqtradeColumns
from bot3.adapters.influx_points import TRADE_KINDS, trade_lines
from bot3.adapters.sql_engine import sqlite_url
from bot3.adapters.sql_record import SqlRecord
from bot3.ports.record import TradeRecord
from bot3.trading.trades import RunMode
from bot3.usecases.sync_trades import sync_trades

_T = TypeVar("_T")
Seconds = NDArray[np.float64]
MODE = RunMode.LIVE
PAIRS = 20
BATCH = 5_000


class FreqtradeTrade:
    """A trade as freqtrade's ORM has it: its orders come with it."""


class BareTrade:
    """A trade without its orders."""


class FreqtradeOrder:
    """An order."""


class WriteTime:
    """Adds up the seconds that a database takes to insert."""

    def __init__(self, engine: sa.Engine) -> None:
        self.seconds = np.zeros(2)
        self._began: Seconds | None = None
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _begin(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._began = _now() if statement.startswith("INSERT INTO synced_trades") else None

    def _end(self, *_: Any) -> None:
        if self._began is not None:
            self.seconds += _now() - self._began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trades", type=int, default=47_733)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # The suite's own server and tables.
    servers, tables = import_module("tests.servers.postgres"), import_module("tests.servers.freqtrade_db")
    with servers.PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        bot = tables.FreqtradeDb(server.new_database())
        fill(bot, tables, arguments.trades)
        result = measured(bot, Path(folder), rounds=arguments.rounds)
    print_result({"trades": arguments.trades, "rounds": arguments.rounds, **result})


def fill(bot: Any, tables: Any, count: int) -> None:
    """Write closed trades and two orders of each."""
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


def measured(bot: Any, folder: Path, *, rounds: int) -> dict[str, Any]:
    """Take turns, ours and the rival, and tell the medians."""
    _map(bot)
    ours, orm, bare = [], [], []
    for number in range(rounds):
        ours.append(sync_once(bot.url, sqlite_url(folder / f"record{number}.sqlite")))
        orm.append(_seconds(lambda: _points(bot.engine, FreqtradeTrade)))
        bare.append(_seconds(lambda: _points(bot.engine, BareTrade)))
        own, wrote = ours[-1]["own_s"], ours[-1]["write_s"]
        tell(f"own {own[0]:.3f} s, written in {wrote[0]:.3f} s; ORM {orm[-1][0]:.2f} s, without orders {bare[-1][0]:.2f} s")
    medians = {name: np.median([one[name] for one in ours], axis=0) for name in ours[0]}
    rivals = {"orm_and_points_s": np.median(orm, axis=0), "orm_trades_only_and_points_s": np.median(bare, axis=0)}
    own = medians["own_s"]
    idle_tick_ms = medians.pop("idle_tick_ms")
    return {
        **{name: round(float(found[0]), 4) for name, found in medians.items()},
        "idle_tick_ms": round(float(idle_tick_ms[1]), 3),
        "ratio_orm": round(float(rivals["orm_and_points_s"][0] / own[0]), 1),
        "ratio_orm_trades_only": round(float(rivals["orm_trades_only_and_points_s"][0] / own[0]), 1),
        "rivals": {name: round(float(found[0]), 3) for name, found in rivals.items()},
        "wall": {name: round(float(found[1]), 4) for name, found in (medians | rivals).items()},
    }


def sync_once(source_url: str, record_url: str) -> dict[str, Seconds]:
    """Sync all trades into a new record, make their points, and time ticks that find nothing new."""
    reader, record = FreqtradeColumns.open(source_url, bot="GRID7", run_mode=MODE), SqlRecord.open(record_url)
    writes = WriteTime(record._database.engine)  # noqa: SLF001  # a stopwatch on the engine, nothing more
    synced_s = _seconds(lambda: _require_whole(reader, record))
    span = record.span()
    if span is None:
        raise SystemExit("the record says that nothing waits for InfluxDB: its outbox is broken")
    lines_s = _seconds(lambda: trade_lines(record.pending(span, run_modes=(MODE,)).trades))
    write_s = writes.seconds
    token = reader.change_token()
    ticks = [_seconds(reader.change_token) for _ in range(50)]
    syncs = [_seconds(lambda: sync_trades(reader, record, run_mode=MODE)) for _ in range(5)]
    if reader.change_token() != token:
        raise SystemExit("the bot's database changed while nothing was committed")
    reader.close()
    record.close()
    return {
        "own_s": synced_s - write_s + lines_s,
        "own_record_s": synced_s - write_s,
        "own_lines_s": lines_s,
        "write_s": write_s,
        "idle_tick_ms": 1_000.0 * np.median(ticks, axis=0),
        "idle_sync_ms": 1_000.0 * np.median(syncs, axis=0),
    }


def _require_whole(reader: FreqtradeColumns, record: TradeRecord) -> None:
    synced = sync_trades(reader, record, run_mode=MODE)
    if not synced.is_reconciled or synced.outcome.inserted != synced.source_count:
        raise SystemExit(f"source {synced.source_count}, record {synced.record_count}: the sync lost trades")


def _map(bot: Any) -> None:
    mapped = registry()
    mapped.map_imperatively(FreqtradeOrder, bot.orders)
    mapped.map_imperatively(FreqtradeTrade, bot.trades, properties={"orders": relationship(FreqtradeOrder, lazy="selectin")})
    mapped.map_imperatively(BareTrade, bot.trades)


def _points(engine: sa.Engine, kind: type[Any]) -> list[str]:
    """Do the rival's work: objects of an ORM, points of a client library, their lines."""
    with Session(engine) as session:
        trades = session.scalars(sa.select(kind).where(kind.is_open.is_(False))).all()
        return [_point(trade).to_line_protocol() for trade in trades]


_FIELDS = tuple(name for name, kind in TRADE_KINDS.items() if kind == "float")


def _point(trade: Any) -> Any:
    point = Point("trades").tag("bot", "GRID7").tag("run_mode", "live").tag("pair", trade.pair)
    point = point.tag("direction", "short" if trade.is_short else "long").tag("feeder_id", trade.enter_tag).tag("leverage_bin", "1.0-2.0")
    point = point.field("trade_id", trade.id).field("account", "foreign").field("is_short", trade.is_short)
    point = (
        point.field("open_date", trade.open_date.isoformat()).field("enter_tag", trade.enter_tag).field("exit_reason", trade.exit_reason)
    )
    for name in _FIELDS:
        point = point.field(name, getattr(trade, name))
    return point.time(trade.close_date, WritePrecision.NS)


def _now() -> Seconds:
    return np.array([time.process_time(), time.perf_counter()])


def _seconds(work: Callable[[], _T]) -> Seconds:
    """Return seconds of the processor and of the wall."""
    began = _now()
    work()
    return _now() - began


if __name__ == "__main__":
    main()
