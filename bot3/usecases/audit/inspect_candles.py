"""Validate the candles that a reader returns."""

from __future__ import annotations

from datetime import datetime

from bot3.market.candles import CandleReport, checked_candles
from bot3.ports.candles import CandleReader


def inspect_candles(reader: CandleReader, *, timeframe: str, start: datetime, now: datetime) -> tuple[CandleReport, ...]:
    """Return the validation report of every pair's candles that open at or after `start` and are closed by `now` (market time).

    Raises
    ------
    CandleError
        If a pair's candles cannot be read or violate the frame's definition beyond repair.
    """
    return tuple(
        checked_candles(reader.candles(pair, timeframe, start=start, end=now), pair=pair, timeframe=timeframe, now=now)[1]
        for pair in reader.pairs()
    )
