"""Execution daemons for benchmarks/kill_execution.py: real processes on a home of their own, with random signals."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from bot3.settings import Settings, load_settings
from bot3.trading.horizons import Horizon
from bot3.trading.signals import Signal
from bot3.wiring import SIMULATED_START, Platform, open_platform
from execution.__main__ import main as run_daemon

_ENVIRONMENT = {
    "BOT3_CLOCK_SPEED": "1500",
    "BOT3_SEED_DAYS": "42",
    "BOT3_LONGEST_TRADE_HOURS": "0.5",
    "BOT3_COOL_OFF_MINUTES": "0",
    "BOT3_STOP_STREAK": "0",
    "BOT3_DAILY_LOSS_REDUCING": "-0.9",
    "BOT3_DAILY_LOSS_HALTED": "-0.95",
    "BOT3_MAX_DRAWDOWN": "-0.95",
    "BOT3_MAX_STAKE_RATIO": "0.002",
    "BOT3_LOG_LEVEL": "WARNING",
}
_MARKET_AT = SIMULATED_START + timedelta(days=3)
_CANDLE = timedelta(minutes=5)


class CoinSignals:
    """A `SignalSource` that draws a signal for half of the pairs and candles; the same pair and candle always have the same signal."""

    def __init__(self, pairs: Sequence[str]) -> None:
        self._pairs = tuple(pairs)

    def signals_at(self, candle_open_time: datetime, now: datetime) -> list[Signal]:
        """Return the signals of a 5m candle; an empty list if it has not closed yet."""
        known_at = candle_open_time + _CANDLE
        if known_at > now:
            return []
        thrown = ((pair, hashlib.blake2s(f"{pair}|{known_at.isoformat()}".encode()).digest()) for pair in self._pairs)
        return [
            Signal(
                feeder_id="F01",
                pair=pair,
                is_short=coin[0] % 2 == 0,
                confidence=0.5 + coin[1] / 1_024,
                candle_open_time=candle_open_time,
                known_at=known_at,
                model_digest="coin",
                horizon=Horizon.DAY,
            )
            for pair, coin in thrown
            if coin[2] < 128
        ]


def coin_signals(platform: Platform) -> CoinSignals:
    """Return a random signal source for a platform's pairs."""
    return CoinSignals(platform.candles.pairs())


def make_home(home: Path) -> Settings:
    """Create a home on which a daemon can trade immediately: a market, empty accounts, nothing learned."""
    settings = load_settings(_ENVIRONMENT, env_file=home / "no.env", home=home)
    with open_platform(settings) as platform:
        platform.finish_seed()
        platform.set_clock(_MARKET_AT)
    return settings


def live(home: Path, arguments: Sequence[str], log: Path) -> None:
    """Run the daemon, with its output appended to a file, and exit the process; this is what the processes to kill execute."""
    with log.open("a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    os.environ.update(_ENVIRONMENT | {"BOT3_HOME": str(home)})
    # Not sys.exit: the cleanup of the parent process must not run here.
    os._exit(run_daemon(arguments, signals=coin_signals))


class Nursery:
    """Start daemons on a home, each forked from one process that has imported everything, so that each starts quickly."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmarks.kill_daemons", "bot3.adapters.simulated.market", "bot3.adapters.paper.exchange"])

    @property
    def log(self) -> Path:
        """Return the file that contains the output of all the daemons."""
        return self._home / "daemon.log"

    def start(self, *arguments: str) -> ForkServerProcess:
        """Start a daemon with command line arguments; return its process without waiting for anything."""
        process = self._context.Process(target=live, args=(self._home, arguments, self.log))
        process.start()
        return process
