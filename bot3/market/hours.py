"""Aggregate the candles of a shorter timeframe to candles of one hour."""

from __future__ import annotations

import numpy as np

from bot3.market.columns import CandleColumns

HOUR_US = 3_600_000_000


def hourly_columns(candles: CandleColumns, *, step_us: int) -> CandleColumns:
    """Return the hours of one pair's candles, oldest first.

    An hour exists if its last candle exists, because only then is its close known; other missing candles are skipped.

    Parameters
    ----------
    step_us : int
        Duration of one of the candles, microseconds; it divides an hour.
    """
    hour = candles.open_us // HOUR_US
    is_last = candles.open_us % HOUR_US == HOUR_US - step_us
    if not is_last.any():
        return CandleColumns(**{name: getattr(candles, name)[:0] for name in ("open_us", "open", "high", "low", "close", "volume")})
    first = np.flatnonzero(np.concatenate(([True], hour[1:] != hour[:-1])))
    last = np.concatenate((first[1:], [len(candles)])) - 1
    kept = is_last[last]
    return CandleColumns(
        open_us=(hour[first] * HOUR_US)[kept],
        open=candles.open[first][kept],
        high=np.maximum.reduceat(candles.high, first)[kept],
        low=np.minimum.reduceat(candles.low, first)[kept],
        close=candles.close[last][kept],
        volume=np.add.reduceat(candles.volume, first)[kept],
    )


def joined_columns(hours: CandleColumns, others: CandleColumns) -> CandleColumns:
    """Return all hours of two series, oldest first; where both have an hour it is that of the first one."""
    new = ~np.isin(others.open_us, hours.open_us)
    opens = np.concatenate((hours.open_us, others.open_us[new]))
    order = np.argsort(opens, kind="stable")
    rates = {
        name: np.concatenate((getattr(hours, name), getattr(others, name)[new]))[order]
        for name in ("open", "high", "low", "close", "volume")
    }
    return CandleColumns(open_us=opens[order], **rates)
