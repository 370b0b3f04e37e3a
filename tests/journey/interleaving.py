"""A trading bot, the record, its copy and Dagster in processes that die: possible events, and the final invariants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from bot3.adapters.freqtrade.columns import FreqtradeColumns
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import Bot3Error, StoreBusyError, StoreError
from bot3.settings import Settings, load_settings
from bot3.trading.horizons import Horizon
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import RETRY_AFTER_S, UnreliableReader
from bot3.wiring import SIMULATED_START, Platform
from bot3.wiring.fleet import open_fleet
from bot3.wiring.home_market import settings_of_home
from bot3.wiring.publishing import Publishing
from bot3_assets.definitions import defs
from bot3_assets.listening import ReportedCursor
from bot3_assets.publishing import record_to_copy
from bot3_assets.resources import PlatformResource
from bot3_assets.sensors import closes_to_parameters
from tests.fate import Fate, KilledError, MortalInstance, MortalRecord
from tests.memory_copy import MemoryCopy
from tests.servers.freqtrade_db import FreqtradeDb, a_row

BOT = "GRID7"
FIRST = SIMULATED_START.replace(tzinfo=None) + timedelta(days=4)
NOW = SIMULATED_START + timedelta(days=36)
FLEET = '[[bots]]\nname = "{name}"\nurl = "{url}"\nrun_mode = "live"\n'
LIVE = (RunMode.LIVE,)


@cache
def the_market() -> SimulatedMarket:
    """Return the candles that every process reads, shared as if on disk."""
    return SimulatedMarket(7, starts_at=SIMULATED_START, ends_at=NOW + timedelta(days=60), timeframe="5m")


class MemoryPublishing(Publishing):
    """Publishing to a copy in memory that outlives the process."""

    memory: MemoryCopy

    @property
    def is_configured(self) -> bool:
        return True

    @cached_property
    def copy(self) -> MemoryCopy:
        return self.memory

    @cached_property
    def publisher(self) -> MemoryCopy:
        return self.memory


class MortalPlatform(Platform):
    """The platform of one simulated process."""

    world: World
    fate: Fate

    @cached_property
    def record(self) -> MortalRecord:
        record = self._kept(MortalRecord.open(self._platform_url("platform")))
        record.fate = self.fate
        return record

    @cached_property
    def publishing(self) -> Publishing:
        if self.world.memory is None:
            return super().publishing
        publishing = MemoryPublishing(
            self.settings, record=lambda: self.record, bots=self.bot_names, now=self.clock.now, wall_now=self.wall_now
        )
        publishing.memory = self.world.memory
        return publishing

    @cached_property
    def fleet(self) -> tuple[UnreliableReader, ...]:
        readers = open_fleet(self.fleet_bots, monotonic=lambda: self.world.wall_s)
        for reader in readers:
            self._closers.callback(reader.close)
        return tuple(readers)

    @cached_property
    def candles(self) -> SimulatedMarket:
        return the_market()


class WorldResource(PlatformResource):
    """A resource with the platform of the current process."""

    def platform(self) -> Platform:
        return _worlds[self.home].platform

    def nothing_to_do(self) -> None:
        """Do nothing: the worlds of these tests learn without a seed."""


_worlds: dict[str, World] = {}


class World:
    """All stores and processes of a test, and the events on them.

    Parameters
    ----------
    source_url : str
        Database of the bot, empty.
    given : Settings
        Settings by field: the location of the record, and of the copy if it is a real one.
    """

    def __init__(self, folder: Path, *, source_url: str, memory: MemoryCopy | None, fate: Fate, bot: str = BOT, **given: Any) -> None:
        self.fate, self.memory, self.name = fate, memory, bot
        self.bot, self.source_url = FreqtradeDb(source_url), source_url
        file = folder / "fleet.toml"
        file.write_text(FLEET.format(name=bot, url=source_url))
        self.settings: Settings = load_settings(
            {}, env_file=folder / "no.env", home=folder / "home", fleet_file=file, learn_from=("paper", "live"), **given
        )
        self.instance = MortalInstance.made(fate)
        self.cursor: str | None = None
        self.published_cursor: str | None = None
        self.wall_s, self.market_at = 0.0, NOW
        self.is_source_away = False
        self.seen: set[tuple[int, datetime]] = set()
        _worlds[str(folder)] = self
        self.resource = WorldResource(home=str(folder))
        self.begin()
        self.platform.set_clock(self.market_at)

    # Processes

    def begin(self) -> None:
        self.platform = self.new_process(self.fate)

    def new_process(self, fate: Fate) -> MortalPlatform:
        platform = MortalPlatform(settings_of_home(self.settings), read_only=False)
        platform.world, platform.fate = self, fate
        return platform

    def restart(self) -> None:
        self.platform.close()
        self.begin()

    def end(self) -> None:
        del _worlds[self.resource.home]
        self.platform.close()
        self.instance.dispose()

    # Actions of the bot

    def add(self, row: dict[str, Any]) -> None:
        if row["id"] not in self.ids():
            self.bot.add(row)

    def change(self, trade_id: int, **values: Any) -> None:
        trades = self.bot.trades
        self.run(trades.update().where(trades.c.id == trade_id).values(**values))

    def delete(self, trade_id: int) -> None:
        trades = self.bot.trades
        self.run(trades.delete().where(trades.c.id == trade_id))

    def ids(self) -> set[int]:
        with self.bot.engine.connect() as connection:
            return set(connection.execute(sa.select(self.bot.trades.c.id)).scalars())

    def run(self, statement: sa.Executable) -> None:
        with self.bot.engine.begin() as connection:
            connection.execute(statement)

    def send_source_away(self) -> None:
        self.bot.execute("ALTER TABLE trades RENAME TO trades_that_are_away")
        self.is_source_away = True

    def bring_source_back(self) -> None:
        if self.is_source_away:
            self.bot.execute("ALTER TABLE trades_that_are_away RENAME TO trades")
        self.is_source_away = False
        self.wall_s += 2.0 * RETRY_AFTER_S

    def close_own(self, at: datetime) -> None:
        """Commit a close of BOT1 from a separate process, as the daemon does."""
        daemon = self.new_process(Fate())
        store = daemon.bot_store("BOT1")
        store.import_trades([an_own_trade(store.next_trade_id(), at)])
        daemon.close()

    # Actions of the platform

    def tick(self) -> None:
        self.cursor = closes_to_parameters.evaluate_tick(self.context(self.cursor)).cursor

    def publish(self) -> None:
        self.published_cursor = record_to_copy.evaluate_tick(self.context(self.published_cursor)).cursor

    def context(self, cursor: str | None) -> Any:
        return dg.build_sensor_context(instance=self.instance, cursor=cursor, definitions=defs, resources={"platform": self.resource})

    def compare_nightly(self) -> None:
        self.platform.steps.sync(self.name)

    def learn_untold(self) -> None:
        """Learn in a process that ends before it reports to Dagster."""
        other = self.new_process(Fate())
        other.steps.learn_from_closes(other.sources([self.name]))
        other.close()

    def struck(self, act: Callable[[], None], *, step: int, is_late: bool, is_kill: bool) -> None:
        """Run an action during which the process dies, or a store is unavailable, at one of its durable steps."""
        self.fate.arm(step, is_late=is_late, error=KilledError if is_kill else an_outage)
        try:
            act()
        except KilledError:
            self.restart()
        except Bot3Error:
            assert self.fate.is_fulfilled or self.is_source_away
        finally:
            self.fate.disarm()

    def tried(self, act: Callable[[], None]) -> None:
        """Run an action that may fail only while the bot's database is unavailable."""
        try:
            act()
        except StoreError:
            assert self.is_source_away

    # State

    def note(self) -> None:
        """Add the trades that are now in the record to the set of all trades ever seen there."""
        self.seen |= self.platform.record.trades.keys(bot=self.name, run_mode=RunMode.LIVE, closed_since=None)

    def source_digests(self) -> list[tuple[Any, ...]]:
        """Return the bot's trades with their digests, as in a new record that was synced once."""
        reader = FreqtradeColumns.open(self.source_url, bot=self.name, run_mode=RunMode.LIVE)
        fresh = SqlRecord.open(sqlite_url(self.settings.home / "fresh.sqlite"))
        fresh.trades.upsert(reader.closed_trades(closed_since=None))
        found = digests_of(fresh)
        reader.close()
        fresh.close()
        return found

    def counted(self) -> tuple[int, int]:
        """Return the number of the bot's trades in the record, and of its tombstones."""
        counts = self.platform.record.trades.counts()
        own = counts[counts["bot"] == self.name]
        return int(own["trades"].sum()), int(own["deleted"].sum())

    def told(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        """Return the metadata of an asset's newest materialization; empty if there is none."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=None if partition is None else [partition]), limit=1
        ).records
        event = records[0].asset_materialization if records else None
        return {} if event is None else {name: value.value for name, value in event.metadata.items()}

    def reported(self) -> int:
        """Return the last reported revision in the sensor's cursor."""
        return ReportedCursor.of(self.cursor, store_id=self.platform.record.store_id).revision


def digests_of(record: SqlRecord) -> list[tuple[Any, ...]]:
    """Return a record's live trades with the digests of their rows."""
    frame = record.trades.digests(run_modes=LIVE)
    return sorted(zip(*(frame[name].tolist() for name in ("bot", "trade_id", "open_date", "close_date", "digest")), strict=True))


def a_close(
    trade_id: int, *, day: int, minute: int, pair: int = 0, leverage: float = 5.0, exit_reason: str | None = "roi"
) -> dict[str, Any]:
    """Return a row of the bot: trades of one day close at one instant, whatever their entry."""
    closed = FIRST + timedelta(days=day, hours=2)
    pairs = the_market().pairs()
    opened = closed - timedelta(minutes=60 + minute)
    return a_row(
        trade_id,
        pair=pairs[pair],
        open_date=opened,
        # Inside its candle: if most entries without orders lie outside, the bot's trades are left out.
        open_rate=the_market().rate_at(pairs[pair], "5m", opened.replace(tzinfo=UTC)),
        close_date=closed,
        leverage=leverage,
        close_profit=day / 100.0,
        exit_reason=exit_reason,
    )


def an_own_trade(trade_id: int, at: datetime) -> Trade:
    rate = the_market().rate_at(the_market().pairs()[1], "5m", at - timedelta(hours=1))
    return Trade(
        bot="BOT1",
        run_mode=RunMode.PAPER,
        account="paper-BOT1",
        trade_id=trade_id,
        pair=the_market().pairs()[1],
        is_short=False,
        leverage=3.0,
        open_date=at - timedelta(hours=1),
        open_rate=rate,
        amount=3.0,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=at,
        close_rate=rate * 1.01,
        close_profit=0.027,
        close_profit_abs=2.7,
        exit_reason="roi",
        horizon=Horizon.DAY,
    )


def an_outage() -> BaseException:
    return StoreBusyError("a store is unavailable")
