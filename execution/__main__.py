"""Run the execution daemon with `python -m execution`: trade on paper with the published learning.

Exit codes: 0 stopped on request, or at the end of the market; 1 a bug; 2 invalid usage or settings; 3 no seeded home, or invalid data;
6 another daemon already runs on the home or on a bot's database.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from bot3.errors import Bot3Error, DataError, SettingsError
from bot3.logs import configure_logs, redacted
from bot3.private_files import create_private_files
from bot3.settings import Settings, load_settings
from bot3.stopping import Stop
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.bot_state import DAEMON
from bot3.wiring import Platform, is_seeded, open_platform, when_available
from execution.bot import Bot, Shared
from execution.closes import SignalSource
from execution.daemon import Daemon
from execution.lease import lease

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None, *, signals: Callable[[Platform], SignalSource] = Platform.signal_maker) -> int:
    """Run the daemon until it is stopped and return its exit code.

    Parameters
    ----------
    signals : callable
        Creates the source of signals; by default the feeders' models.
    """
    create_private_files()
    given = _parsed(arguments)
    try:
        settings = load_settings()
        configure_logs(DAEMON, level=settings.log_level, secrets=settings.secrets())
        if not is_seeded(settings):
            raise DataError(f"{settings.home} contains no seeded home: run `bot3 init` (or `make run`), or set BOT3_HOME to a seeded home")
        with lease(settings.home), open_platform(settings) as platform:
            _run(platform, given, signals=signals)
    except Bot3Error as error:
        print(f"execution: {redacted(str(error))}", file=sys.stderr)  # noqa: T201  # logs may not be set up yet
        return error.exit_code
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m execution", description="Trade on paper with the published learning.")
    parser.add_argument("--once", action="store_true", help="run one tick and exit")
    parser.add_argument("--until-market-end", action="store_true", help="exit when the replayed market has ended")
    parser.add_argument("--poll", type=float, default=0.2, metavar="SECONDS", help="longest wall time between two ticks (default 0.2)")
    return parser.parse_args(arguments)


def _run(platform: Platform, given: argparse.Namespace, *, signals: Callable[[Platform], SignalSource]) -> None:
    stopping = Stop()
    ready = when_available(lambda: _ready(platform, given, signals=signals), should_stop=stopping.is_asked)
    if ready is None:
        return
    daemon, until = ready
    daemon.run(should_stop=stopping.is_asked, until=until, is_once=given.once)
    log.info("daemon_stopped", market_at=platform.clock.now().isoformat())


def _ready(platform: Platform, given: argparse.Namespace, *, signals: Callable[[Platform], SignalSource]) -> tuple[Daemon, datetime | None]:
    """Open all stores and build the daemon; return it, and the market time at which it must end (None without --until-market-end).

    Raises StoreError if a store cannot be opened.
    """
    platform.open_stores()
    until = _market_end(platform) if given.until_market_end else None
    daemon = Daemon(bots_of(platform), signals=signals(platform), learning=platform.learning_reader, poll_s=given.poll)
    anchor = platform.control.anchor()
    log.info("daemon_started", home=str(platform.settings.home), market_at=platform.clock.now().isoformat(), speed=platform.clock.speed)
    if anchor is not None and not anchor.is_running:
        log.warning("market_clock_stands_still", remedy="`bot3 clock start`, or start everything with `bot3 up`")
    return daemon, until


def bots_of(platform: Platform) -> list[Bot]:
    """Return the bots of a platform, each with its own store and exchange account."""
    settings: Settings = platform.settings
    shared = Shared(
        clock=platform.clock,
        candles=platform.candles,
        markets=platform.markets,
        control=platform.control,
        costs=platform.costs,
        run_mode=RunMode(settings.trading_mode),
        timeframe=settings.timeframe,
        protect_deadline=timedelta(seconds=settings.protect_deadline_s),
        halt_file=settings.home / "HALT",
    )
    return [
        Bot(
            profile=platform.profile(name),
            store=platform.bot_store(name),
            flag=platform.latch_file(name),
            exchange=platform.exchange(name),
            lease=platform.bot_lease(name),
            shared=shared,
        )
        for name in platform.bot_names
    ]


def _market_end(platform: Platform) -> datetime:
    anchor = platform.control.anchor()
    ends = [end for end in (platform.market_end(), None if anchor is None else anchor.ends_at) if end is not None]
    if not ends:
        raise SettingsError("--until-market-end needs replayed candles: set BOT3_CANDLES and seed a home from them")
    return min(ends)


if __name__ == "__main__":
    sys.exit(main())
