"""A trading floor for tests: real SQLite stores and the real paper exchange on candles in memory, under a clock that tests move."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from bot3.adapters.files.latch import FileLatch
from bot3.adapters.paper.exchange import PaperExchange
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import LearningError
from bot3.market.timeframes import timeframe_duration
from bot3.ports.learning import LearningReader
from bot3.ports.lease import Lease
from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.orders import Intent, IntentLeg, OrderStatus, OrderType
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import Signal
from bot3.trading.trades import RunMode, Trade
from execution.bot import Bot, Shared
from execution.daemon import Daemon
from execution.runner import BotRunner
from tests.clocks import MovableClock
from tests.markets import BTC, COSTS, FIRST, FixedMarkets, FrameCandles, a_market, a_profile, candle_frame

LATENCY = timedelta(seconds=1.5)
ENTRY_AT = 13
"""Number of candles after whose close signals are known; with fewer candles volatility is unknown."""


class ScriptedSignals:
    """A `SignalSource` that returns a test's signals, by the candle's close."""

    def __init__(self, *signals: Signal, error: Exception | None = None) -> None:
        self._signals = signals
        self.error = error
        self.asked: list[datetime] = []

    def signals_at(self, candle_open_time: datetime, now: datetime) -> list[Signal]:
        self.asked.append(candle_open_time)
        if self.error is not None:
            raise self.error
        return [signal for signal in self._signals if signal.candle_open_time == candle_open_time and signal.known_at <= now]


class ShelfNoun:
    """The publications of one kind on a shelf."""

    def __init__(self, shelf: ShelfOfLearning, noun: str) -> None:
        self._shelf, self._noun = shelf, noun

    def as_of(self, at: datetime) -> Any:
        self._shelf.reads += 1
        return self._shelf.known(self._noun, at)


class ShelfOfLearning:
    """A `LearningReader` of a test's publications; each publication increments `token`."""

    def __init__(self) -> None:
        self.published: dict[str, list[Any]] = {}
        self.reads = 0
        self.token = 0
        self.parameters, self.recommendations = ShelfNoun(self, "parameters"), ShelfNoun(self, "recommendation")
        self.regimes, self.feeder_scores = ShelfNoun(self, "regime"), ShelfNoun(self, "feeder_scores")

    def publish(self, noun: str, value: object) -> None:
        self.published.setdefault(noun, []).append(value)
        self.token += 1

    def next_known_at(self, *, after: datetime) -> datetime | None:
        known = (value.known_at for values in self.published.values() for value in values)
        return min((at for at in known if at > after), default=None)

    def learning_token(self) -> str:
        return str(self.token)

    def known(self, noun: str, at: datetime) -> Any:
        known = [value for value in self.published.get(noun, []) if value.known_at <= at]
        if not known:
            raise LearningError(f"no {noun} was published by {at.isoformat()}")
        return max(reversed(known), key=lambda value: value.known_at)


Wrap = Callable[[Any], Any]


@dataclass
class Floor:
    """One home; `open` starts a daemon on it, `close` closes everything as the end of the process does."""

    home: Path
    frames: Mapping[str, pd.DataFrame]
    signals: ScriptedSignals
    profiles: Sequence[BotProfile] = (a_profile(),)
    learning: LearningReader = field(default_factory=ShelfOfLearning)
    funding: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    speed: float = 60.0
    timeframe: str = "5m"
    markets: Sequence[Market] = (a_market(),)
    wrap_store: Wrap = lambda port: port
    wrap_exchange: Wrap = lambda port: port
    wrap_candles: Wrap = lambda port: port
    busy_timeout_s: float = 5.0
    lease: Lease | None = None
    new_clock: Callable[..., MovableClock] = MovableClock
    clock: MovableClock = field(init=False)
    stores: dict[str, SqlBotStore] = field(init=False, default_factory=dict)
    exchanges: dict[str, PaperExchange] = field(init=False, default_factory=dict)
    bots: dict[str, Bot] = field(init=False, default_factory=dict)
    daemon: Daemon = field(init=False)
    control: SqlControl = field(init=False)

    def __post_init__(self) -> None:
        self.clock = self.new_clock(FIRST, speed=self.speed)

    def open(self) -> Daemon:
        candles = FrameCandles(dict(self.frames), dict(self.funding), timeframe=self.timeframe)
        markets = FixedMarkets(*self.markets)
        self.control = SqlControl.open(sqlite_url(self.home / "control.sqlite"))
        shared = Shared(
            clock=self.clock,
            candles=self.wrap_candles(candles),
            markets=markets,
            control=self.control,
            costs=COSTS,
            run_mode=RunMode.PAPER,
            timeframe=self.timeframe,
            protect_deadline=timedelta(seconds=10),
            halt_file=self.home / "HALT",
        )
        self.bots.clear()
        for profile in self.profiles:
            name, account = profile.name, f"paper-{profile.name}"
            url = sqlite_url(self.home / f"{name}.sqlite")
            self.stores[name] = SqlBotStore.open(url, bot=name, run_mode=RunMode.PAPER, account=account, busy_timeout_s=self.busy_timeout_s)
            self.exchanges[name] = PaperExchange(
                self.home / f"exchange-{name}.sqlite",
                account=account,
                wallet_abs=10_000.0,
                candles=candles,
                markets=markets,
                clock=self.clock,
                costs=COSTS,
                timeframe=self.timeframe,
            )
            store, exchange = self.wrap_store(self.stores[name]), self.wrap_exchange(self.exchanges[name])
            flag = FileLatch(self.home / "latches" / f"{name}.json")
            self.bots[name] = Bot(profile=profile, store=store, flag=flag, exchange=exchange, lease=self.lease, shared=shared)
        self.daemon = Daemon(list(self.bots.values()), signals=self.signals, learning=self.learning)
        return self.daemon

    def close(self) -> None:
        for closable in (*self.stores.values(), *self.exchanges.values(), self.control):
            closable.close()
        self.stores.clear()
        self.exchanges.clear()

    def to_close_of(self, candles: int) -> None:
        """Move the clock to just after the close of a number of candles."""
        self.clock.move((FIRST + candles * timeframe_duration(self.timeframe) + LATENCY - self.clock.now()).total_seconds() / self.speed)

    def run_candles(self, first: int, last: int) -> None:
        """Tick once after each close of candles first to last."""
        for number in range(first, last + 1):
            self.to_close_of(number)
            self.daemon.tick()

    def reopen(self) -> Daemon:
        """End the process and start another one on the same home."""
        self.close()
        return self.open()

    def tick_after(self, wall_seconds: float) -> None:
        """Advance wall time and tick."""
        self.clock.move(wall_seconds)
        self.daemon.tick()

    def runner(self, name: str = "BOT1") -> BotRunner:
        return next(runner for runner in self.daemon.runners if runner.name == name)

    def open_trade(self, name: str = "BOT1") -> Trade:
        (trade,) = self.stores[name].open_trades()
        return trade

    def closed_trade(self, name: str = "BOT1") -> Trade:
        (trade,) = self.stores[name].closed_trades(closed_since=None)
        return trade

    def resting(self, name: str = "BOT1") -> dict[OrderType, OrderStatus]:
        """Return the orders that rest on the exchange, by type; two of one type fail."""
        orders = self.exchanges[name].fetch_open_orders()
        found = {order.order_type: order for order in orders}
        assert len(found) == len(orders), f"more than one order of a type rests: {orders}"
        return found

    def intents(self, leg: IntentLeg, name: str = "BOT1") -> list[Intent]:
        """Return the intents of a leg over all trades, oldest first."""
        ids = range(1, self.stores[name].next_trade_id())
        return [intent for trade_id in ids for intent in self.stores[name].intents_of_trade(trade_id) if intent.leg is leg]

    def holds(self, name: str = "BOT1") -> list[str]:
        """Return the reasons why signals were not traded, oldest first."""
        frame = self.stores[name].decisions_frame(limit=1_000)
        return [str(reason) for reason in frame[frame["outcome"] == "hold"]["reason"]][::-1]

    def state(self, name: str = "BOT1") -> tuple[str, str]:
        """Return the trading state in force and its reason."""
        return self.runner(name).state.state.value, self.runner(name).state.reason


Rows = list[tuple[float, float, float, float]]
OpenFloor = Callable[..., Floor]


def a_floor(home: Path, rows: Rows, **changes: Any) -> Floor:
    """Return an open floor on BTC candles, just before the close at which its only signal is known."""
    given: dict[str, Any] = {"signals": ScriptedSignals(signal_at(ENTRY_AT)), "frames": {BTC: candle_frame(rows)}, **changes}
    floor = Floor(home=home, **given)
    floor.to_close_of(ENTRY_AT - 1)
    floor.open()
    return floor


@contextmanager
def locked(floor: Floor, name: str) -> Iterator[None]:
    holder = sqlite3.connect(floor.home / name, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def signal_at(
    candles: int,
    *,
    pair: str = BTC,
    is_short: bool = False,
    feeder_id: str = "F01",
    confidence: float = 0.6,
    horizon: Horizon = Horizon.DAY,
    timeframe: str = "5m",
) -> Signal:
    """Return a signal that is known at the close of a number of candles."""
    candle = timeframe_duration(timeframe)
    known_at = FIRST + candles * candle
    return Signal(
        feeder_id=feeder_id,
        pair=pair,
        is_short=is_short,
        confidence=confidence,
        candle_open_time=known_at - candle,
        known_at=known_at,
        model_digest="d1",
        horizon=horizon,
    )


def wobble(count: int, *, rate: float = 100.0) -> list[tuple[float, float, float, float]]:
    """Return quiet candles around a rate, with enough movement to estimate a volatility."""
    rows = []
    for index in range(count):
        step = 0.001 * (1 if index % 2 else -1)
        rows.append((rate * (1 - step), rate * 1.0015, rate * 0.9985, rate * (1 + step)))
    return rows
