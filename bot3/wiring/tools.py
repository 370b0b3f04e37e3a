"""Access to candle directories and databases of other programs, for commands that do not need a seeded home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot3.adapters.clocks.system import SystemClock
from bot3.errors import CandleError
from bot3.trading.trades import RunMode

if TYPE_CHECKING:
    from bot3.ports.candles import CandleFileFinding, CandleReader, IgnoredCandleFile
    from bot3.ports.foreign_trades import ForeignTradeReader, ForeignTradeSource
    from bot3.settings import Settings


def inspect_candle_files(directory: Path) -> tuple[tuple[CandleFileFinding, ...], tuple[IgnoredCandleFile, ...]]:
    """Return the validation result of every candle and funding file of a directory, of any timeframe, and the files that are ignored.

    Raises CandleError if the directory cannot be read.
    """
    from bot3.adapters.files.candle_inspection import inspect_files  # noqa: PLC0415  # heavy

    return inspect_files(directory, now=SystemClock().wall_now())


def fetch_candle_files(
    settings: Settings,
    *,
    directory: Path,
    pair: str,
    since: datetime,
    exchange: str,
    until: datetime | None = None,
    exchange_url: str | None = None,
    tell: Callable[[datetime], None] | None = None,
) -> int:
    """Fetch a pair's candles and funding rates that a directory lacks; return how many candles were added.

    Only candles before the first and after the last one in the pair's file are fetched; gaps in between remain.

    Parameters
    ----------
    since : datetime
        Start of the requested span.
    until : datetime, optional
        End of the requested span; now by default. If the file already ends later, its own end is used.
    exchange : str
        ccxt's id of the exchange.
    exchange_url : str, optional
        Base URL that replaces the host of the exchange's endpoints, such as that of a proxy.
    tell : callable, optional
        Progress callback: receives the time up to which candles are fetched.

    Raises
    ------
    CandleError, ExchangeBusyError
        If the exchange lacks the pair, an existing file is invalid, or the exchange cannot be reached; fetched candles stay.
    """
    from bot3.adapters.ccxt.candles import CcxtCandles  # noqa: PLC0415  # two seconds

    source, now = CcxtCandles(directory, exchange_id=exchange, base_url=exchange_url), SystemClock().wall_now()
    if until is not None:
        now = min(now, max(until, _held_until(directory, pair=pair, timeframe=settings.timeframe) or until))

    def progress(*, pair: str, reached: datetime, until: datetime) -> None:
        del pair, until
        if tell is not None:
            tell(reached)

    added = source.download_candles(pair, settings.timeframe, since=since, now=now, progress=progress).added
    source.download_funding(pair, since=since, now=now)
    return added


def _held_until(directory: Path, *, pair: str, timeframe: str) -> datetime | None:
    """Return when the last candle of a pair's file closes; None if there is no readable file (the fetch itself reports an invalid one)."""
    from bot3.adapters.files.candles import FileCandles  # noqa: PLC0415  # heavy

    try:
        return FileCandles(directory, timeframe=timeframe, wall_now=SystemClock().wall_now).span(pair, timeframe)[1]
    except CandleError:
        return None


def file_candles(directory: Path, *, timeframe: str, funding_from: Sequence[Path] = ()) -> CandleReader:
    """Return a reader of a directory's candles and funding, and of the funding in further directories.

    Raises CandleError if the directory contains no candles of the timeframe.
    """
    from bot3.adapters.files.candles import FileCandles  # noqa: PLC0415  # heavy

    return FileCandles(directory, timeframe=timeframe, funding_from=funding_from, wall_now=SystemClock().wall_now)


def shown_address(address: str) -> str:
    """Return a database's URL without user name, password and other secrets; a path is returned unchanged.

    Raises SettingsError if it is an invalid URL.
    """
    from bot3.adapters.sql.urls import parsed_url, shown_url  # noqa: PLC0415  # heavy

    # In `URL.set`, None means "unchanged".
    return shown_url(parsed_url(address)._replace(username=None, password=None)) if "://" in address else address


def open_backtest(path: Path, *, strategy: str | None) -> tuple[ForeignTradeSource, str]:
    """Read a backtest result of freqtrade; return its trades and the strategy's name. See `FreqtradeBacktest.open` for its errors."""
    from bot3.adapters.freqtrade.backtest import FreqtradeBacktest  # noqa: PLC0415  # only audits of backtests need it

    found = FreqtradeBacktest.open(path, strategy=strategy)
    return found, found.strategy


@contextmanager
def open_foreign_trades(
    address: str, *, bot: str, run_mode: RunMode | None = None, source_timezone: str = "UTC", is_any_mode: bool = False
) -> Iterator[ForeignTradeReader]:
    """Open a freqtrade database read-only, so that no files are created next to it; see `FreqtradeTrades.open` for options and errors."""
    from bot3.adapters.freqtrade.trades import FreqtradeTrades  # noqa: PLC0415  # heavy

    reader = FreqtradeTrades.open(
        address, bot=bot, run_mode=run_mode, source_timezone=source_timezone, leaves_no_trace=True, is_any_mode=is_any_mode
    )
    try:
        yield reader
    finally:
        reader.close()
