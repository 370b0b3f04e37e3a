"""Candle directories for commands that need no home: look at one, bring it up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot3.adapters.system_clock import SystemClock

if TYPE_CHECKING:
    from bot3.market.candles import CandleReport
    from bot3.settings import Settings


def candle_reports(settings: Settings, directory: Path) -> Sequence[CandleReport]:
    """Read every candle file of a directory and return what the gate found."""
    from bot3.adapters.file_candles import FileCandles  # noqa: PLC0415  # heavy

    return FileCandles(directory, timeframe=settings.timeframe).reports()


def fetch_candle_files(
    settings: Settings, *, directory: Path, pair: str, since: datetime, exchange: str, tell: Callable[[datetime], None] | None = None
) -> int:
    """Fetch a pair's candles and funding that a directory lacks; return how many candles were added."""
    from bot3.adapters.ccxt_candles import CcxtCandles  # noqa: PLC0415  # two seconds

    source, now = CcxtCandles(directory, exchange_id=exchange), SystemClock().wall_now()

    def progress(*, pair: str, reached: datetime, until: datetime) -> None:
        del pair, until
        if tell is not None:
            tell(reached)

    added = source.download_candles(pair, settings.timeframe, since=since, now=now, progress=progress).added
    source.download_funding(pair, since=since, now=now)
    return added
