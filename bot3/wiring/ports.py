"""Build the ports from the settings: select the adapter of each."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bot3.adapters.clocks.market import MarketClock, pause_clock, resume_clock, start_clock
from bot3.adapters.clocks.system import SystemClock
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.control.notices import SqlNotices
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.lease import SqlLease
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import SettingsError, StoreError
from bot3.market.instants import EPOCH
from bot3.ports.control import ClockSource
from bot3.ports.lease import Lease
from bot3.settings import BOT_NAMES, Settings
from bot3.trading.costs import Costs
from bot3.trading.profiles import BotProfile
from bot3.trading.risk import RiskLimits
from bot3.trading.trades import RunMode
from bot3.wiring.databases import server_url
from bot3.wiring.publishing import Publishing
from bot3.wiring.telling import notifier_of

if TYPE_CHECKING:
    from bot3.adapters.simulated.market import SimulatedMarket
    from bot3.ports.candles import CandleReader, MarketReader
    from bot3.ports.clock import Clock
    from bot3.ports.exchange import Exchange
    from bot3.ports.latches import LatchStore
    from bot3.ports.learning import LearningReader
    from bot3.ports.models import ModelStore
    from bot3.ports.notifier import Notifier
    from bot3.ports.signals import SignalStore
    from bot3.usecases.feeders.predict_signals import SignalMaker

SIMULATED_START = datetime(2025, 1, 6, tzinfo=UTC)
_SIMULATED_LIFE = timedelta(days=3_650)
_SIMULATED_PAST = timedelta(weeks=14)  # candles before the start, from which the first feeders learn
_Store = TypeVar("_Store", SqlRecord, SqlControl, SqlNotices, SqlBotStore, SqlLease)
_DIRECTIONS = {"BOT1": ("long",), "BOT2": ("short",), "BOT3": ("long", "short")}


class Ports:
    """The ports of one home; each is opened at first use and closed by `close`."""

    bot_names = BOT_NAMES

    def __init__(self, settings: Settings, *, read_only: bool, beats: bool = False) -> None:
        self.settings = settings
        self._is_read_only = read_only
        self._control_is_read_only = read_only and not beats
        self._closers = ExitStack()
        self._stores: dict[tuple[str, str], SqlBotStore] = {}
        self._leases: dict[str, Lease] = {}

    def close(self) -> None:
        """Close every store that was opened."""
        self._closers.close()

    @cached_property
    def record(self) -> SqlRecord:
        """Return the platform's record."""
        return self._kept(SqlRecord.open(self._platform_url("platform"), bins=self.settings.bins, read_only=self._is_read_only))

    @cached_property
    def publishing(self) -> Publishing:
        """Return the access to the record's copy in InfluxDB: publishing to it, reading it, and comparing it with the record."""
        publishing = Publishing(
            self.settings, record=lambda: self.record, bots=self.bot_names, now=self._market_now, wall_now=self.wall_now
        )
        self._closers.callback(publishing.close)
        return publishing

    @cached_property
    def learning_reader(self) -> LearningReader:
        """Return the reader of published learning that the daemon uses (BOT3_PARAMETERS_FROM)."""
        return self.publishing.learning_reader()

    @cached_property
    def control(self) -> SqlControl:
        """Return the control store, read-only in processes that neither write stores nor send heartbeats."""
        control = SqlControl.open(self._platform_url("control"), read_only=self._control_is_read_only)
        try:
            if not self._control_is_read_only:
                self._refill(control)
        except BaseException:
            control.close()
            raise
        return self._kept(control)

    def _refill(self, control: SqlControl) -> None:
        """Restore the contents of a control store that was lost; `Platform` overrides this, here it does nothing."""

    def open_stores(self) -> None:
        """Open the control store, notices, the record and every own bot's store. Raises StoreError for the first that cannot be opened."""
        opened = (self.control, self.notices, self.record, *(self.bot_store(name) for name in self.bot_names))
        del opened  # `cached_property` and `_stores` keep them

    @cached_property
    def notices(self) -> SqlNotices:
        """Return the store of pending notices, which is in the control store's database."""
        return self._kept(SqlNotices.open(self._platform_url("control"), read_only=self._control_is_read_only))

    @cached_property
    def notifier(self) -> Notifier | None:
        """Return the notifier that sends messages to Telegram; None if no token is set."""
        return notifier_of(self.settings)

    @cached_property
    def clock(self) -> Clock:
        """Return the market clock."""
        return MarketClock(self.control)

    @cached_property
    def candles(self) -> CandleReader:
        """Return the reader of this home's candles (files, or the simulated market).

        With files, `pairs` lists only pairs whose stake currency is that of the wallets.
        """
        if not self.settings.candle_directories:
            return self._simulated
        from bot3.adapters.files.candles import FileCandles  # noqa: PLC0415  # loads pyarrow's file formats
        from bot3.adapters.files.currency_candles import CurrencyCandles  # noqa: PLC0415  # only readers of candles need it

        every = FileCandles(*self.settings.candle_directories, timeframe=self.settings.timeframe, wall_now=SystemClock().wall_now)
        return CurrencyCandles(every, currency=self.settings.stake_currency)

    @cached_property
    def markets(self) -> MarketReader:
        """Return the exchange filters of the pairs: from the markets file if the settings name one.

        Otherwise those of the simulated market, or with candle files filters that are assumed from their prices and from defaults.
        """
        settings = self.settings
        from bot3.adapters.files.markets import DeclaredMarkets, FileMarkets, seen_rates  # noqa: PLC0415  # only processes that use it load it

        if settings.markets_file is not None:
            return FileMarkets(settings.markets_file, taker_fee=settings.taker_fee, maker_fee=settings.maker_fee)
        if not settings.candle_directories:
            return self._simulated
        # The price tick is a constant of the pair and does not reveal its future prices: all existing candles may be used for it.
        rates = seen_rates(self.candles, settings.timeframe, until=datetime.max.replace(tzinfo=UTC))
        return DeclaredMarkets(rates, taker_fee=settings.taker_fee, maker_fee=settings.maker_fee)

    @cached_property
    def models(self) -> ModelStore:
        """Return the store of the feeders' model files."""
        from bot3.adapters.files.models import FileModels  # noqa: PLC0415  # only processes that use it load it

        return FileModels(self.settings.home / "models")

    @cached_property
    def signals(self) -> SignalStore:
        """Return the store of the feeders' out-of-sample signals, by feeder and week."""
        from bot3.adapters.files.signals import FileSignals  # noqa: PLC0415  # only processes that use it load it

        return FileSignals(self.settings.home / "signals")

    @cached_property
    def costs(self) -> Costs:
        """Return the trading costs that the settings configure."""
        settings = self.settings
        return Costs(
            taker_fee=settings.taker_fee,
            maker_fee=settings.maker_fee,
            slippage=settings.slippage,
            stop_slippage=settings.stop_slippage,
        )

    def profile(self, name: str) -> BotProfile:
        """Return the rules and limits of one of the platform's own bots. Raises SettingsError for another name."""
        self.require_bot(name)
        settings = self.settings
        return BotProfile(
            name=name,
            directions=frozenset(_DIRECTIONS[name]),
            is_learned=name == "BOT3",
            bins=settings.bins,
            leverage_cap=min(settings.leverage_cap, settings.bins.highest),
            target_volatility=settings.target_volatility,
            wallet_abs=settings.wallet_abs,
            max_open_trades=settings.max_open_trades,
            stop_loss=settings.stop_loss,
            take_profit=settings.take_profit,
            longest_trade=settings.longest_trade,
            exit_rules=settings.exit_rules,
            max_stake_ratio=settings.max_stake_ratio,
            max_pair_notional_ratio=settings.max_pair_notional_ratio,
            max_gross_notional_ratio=settings.max_gross_notional_ratio,
            limits=_limits(settings),
        )

    def bot_store(self, name: str, *, read_only: bool = False) -> SqlBotStore:
        """Return the database of one of the platform's own bots.

        Raises SettingsError for another name, StoreError if it cannot be opened (read-only: also if there is none yet).
        """
        return self._store(name, "bots", run_mode=RunMode.PAPER, account=f"paper-{name}", read_only=read_only)

    def bot_lease(self, name: str) -> Lease | None:
        """Acquire and return the lease of a bot whose database is on a server; None if it is a file in the home, which has its own lock.

        Raises
        ------
        AlreadyRunningError
            If another process owns the lease, of this home or another one.
        StoreError
            If the server cannot be reached or rejects the request.
        """
        self.require_bot(name)
        url = server_url(self.settings, name)
        if url is None:
            return None
        if name not in self._leases:
            self._leases[name] = self._kept(SqlLease.open(url, bot=name))
        return self._leases[name]

    def latch_file(self, name: str) -> LatchStore:
        """Return the file in the home that stores a bot's trading state in addition to its own database."""
        self.require_bot(name)
        from bot3.adapters.files.latch import FileLatch  # noqa: PLC0415  # only processes that use it load it

        return FileLatch(self.settings.home / "latches" / f"{name}.json")

    def history_store(self, name: str, *, read_only: bool = False) -> SqlBotStore:
        """Return the store of a bot's backtest trades. Raises as `bot_store`."""
        return self._store(name, "history", run_mode=RunMode.BACKTEST, account=f"history-{name}", read_only=read_only)

    def exchange(self, name: str) -> Exchange:
        """Return the simulated exchange account of a bot (paper trading)."""
        self.require_bot(name)
        from bot3.adapters.paper.exchange import PaperExchange  # noqa: PLC0415  # loads numba

        return PaperExchange(
            self._file("exchange", f"{name}.sqlite"),
            account=f"paper-{name}",
            wallet_abs=self.settings.wallet_abs,
            candles=self.candles,
            markets=self.markets,
            clock=self.clock,
            costs=self.costs,
            timeframe=self.settings.timeframe,
        )

    def signal_maker(self) -> SignalMaker:
        """Return the object that makes the signals of all feeders at a candle's close."""
        from bot3.usecases.feeders.predict_signals import SignalMaker  # noqa: PLC0415  # loads numba and TA-Lib

        return SignalMaker(
            models=self.models,
            registry=self.record.models,
            candles=self.candles,
            pairs=self.candles.pairs(),
        )

    def require_bot(self, name: str) -> None:
        """Raise SettingsError if a name is not one of the platform's own bots."""
        if name not in self.bot_names:
            raise SettingsError(f"{name!r} is not a bot: the bots are {', '.join(self.bot_names)}")

    def history_span(self) -> tuple[datetime, datetime]:
        """Return the span of candles for a seed.

        With candle files it is the span that all pairs have, without its last BOT3_REPLAY_DAYS, its end rounded down to a full hour; else
        the simulated market's first BOT3_SEED_DAYS.
        """
        settings = self.settings
        if not settings.candle_directories:
            return SIMULATED_START, SIMULATED_START + timedelta(days=settings.seed_days)
        spans = [self.candles.span(pair, settings.timeframe) for pair in self.candles.pairs()]
        first, last = max(span[0] for span in spans), min(span[1] for span in spans)
        return first, _floored(last - timedelta(days=settings.replay_days), timedelta(hours=1))

    def market_end(self) -> datetime | None:
        """Return when the candle files end: the earliest last close of the pairs; None for the simulated market."""
        if not self.settings.candle_directories:
            return None
        return min(self.candles.span(pair, self.settings.timeframe)[1] for pair in self.candles.pairs())

    @property
    def clock_source(self) -> ClockSource:
        """Return the source of this home's market: candle files that are replayed, or the simulated market."""
        return ClockSource.REPLAYED if self.settings.candle_directories else ClockSource.SIMULATED

    def _market_now(self) -> datetime:
        return self.clock.now()

    def wall_now(self) -> datetime:
        """Return the wall time; unlike `clock.wall_now`, this works before the market clock is set."""
        return SystemClock().wall_now()

    def set_clock(self, market_at: datetime) -> None:
        """Set the market clock to a time, paused, with the speed of the settings; with candle files it will stop at their end."""
        self.anchor_clock(self.control, market_at)

    def anchor_clock(self, control: SqlControl, market_at: datetime) -> None:
        """Set the market clock of a control store, as `set_clock` does."""
        start_clock(
            control,
            source=self.clock_source,
            market_at=market_at,
            speed=self.settings.clock_speed,
            ends_at=self.market_end(),
            is_running=False,
        )

    def start_clock(self) -> None:
        """Resume the market clock at the market time at which it was paused, with the speed of the settings.

        If it was not paused because its processes were killed, it continues from the newest heartbeat's market time.
        """
        resume_clock(self.control, speed=self.settings.clock_speed)

    def pause_clock(self) -> None:
        """Pause the market clock."""
        pause_clock(self.control)

    @cached_property
    def _simulated(self) -> SimulatedMarket:
        from bot3.adapters.simulated.market import SimulatedMarket  # noqa: PLC0415  # only homes on the simulated market need it

        ends_at = SIMULATED_START + _SIMULATED_LIFE
        starts_at = SIMULATED_START - _SIMULATED_PAST
        return SimulatedMarket(self.settings.market_seed, starts_at=starts_at, ends_at=ends_at, timeframe=self.settings.timeframe)

    def _store(self, name: str, folder: str, *, run_mode: RunMode, account: str, read_only: bool) -> SqlBotStore:
        self.require_bot(name)
        key = (folder, name)
        if key not in self._stores:
            url = self._bot_url(name) if folder == "bots" else sqlite_url(self._file(folder, f"{name}.sqlite"))
            only = self._is_read_only or read_only
            self._stores[key] = self._kept(SqlBotStore.open(url, bot=name, run_mode=run_mode, account=account, read_only=only))
        return self._stores[key]

    def _file(self, *parts: str) -> Path:
        path = self.settings.home.joinpath(*parts)
        if not self._is_read_only:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"{path.parent} cannot be created ({error.strerror}): grant this user the right, or set BOT3_HOME to another directory"
                ) from error
        return path

    def _bot_url(self, name: str) -> str:
        return self._url(name.lower(), file=self._file("bots", f"{name}.sqlite"))

    def _platform_url(self, kind: str) -> str:
        return self._url("platform", file=self._file(f"{kind}.sqlite"))

    def _url(self, prefix: str, *, file: Path) -> str:
        return server_url(self.settings, prefix) or sqlite_url(file)

    def _kept(self, store: _Store) -> _Store:
        self._closers.callback(store.close)
        return store


def _floored(at: datetime, step: timedelta) -> datetime:
    return at - (at - EPOCH) % step


def _limits(settings: Settings) -> RiskLimits:
    return RiskLimits(
        daily_loss_reducing=settings.daily_loss_reducing,
        daily_loss_halted=settings.daily_loss_halted,
        max_drawdown=settings.max_drawdown,
        stop_streak=settings.stop_streak,
        stop_streak_window=timedelta(minutes=settings.stop_streak_window_minutes),
        stop_streak_pause=timedelta(minutes=settings.stop_streak_pause_minutes),
        cool_off=timedelta(minutes=settings.cool_off_minutes),
        max_candle_age=timedelta(minutes=settings.max_candle_age_minutes),
        price_collar=settings.price_collar,
    )
