"""Model inputs at the close of an hour that one pair's own candles and funding give: trend, extremes, volume, funding and season.

A row is a function of the last `HOURLY_WINDOW` candles of the last `HOURLY_REACH_HOURS`, and of the funding of the last week, so a live row
computed from just these equals the row of a long history bit for bit. Windows count candles: a gap is skipped. Moves
are in units of their own volatility, distances and moves are of the log price, funding is in bps a day (above 0:
longs pay). A value whose window is incomplete is NaN; a row with fewer than
`HOURLY_WARM_UP` candles before it in that time is NaN as a whole.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.market.columns import CandleColumns
from bot3.market.indicators import Floats
from bot3.market.instants import DAY_US

HOURLY_WARM_UP = 28 * 24
HOURLY_WINDOW = 56 * 24 + 1
HOURLY_REACH_HOURS = HOURLY_WINDOW + 24
"""Time before a row's close from which candles are used: one day may be missing before a window is incomplete."""

OWN_NAMES = (
    "daily_sigma",
    "volatility_1d",
    "volatility_7d",
    "move_1h",
    "move_4h",
    "move_8h",
    "move_24h",
    "move_72h",
    "trend_7d",
    "trend_14d",
    "trend_28d",
    "trend_56d",
    "above_high_10d",
    "above_high_20d",
    "above_high_40d",
    "below_low_10d",
    "below_low_20d",
    "below_low_40d",
    "volume_1h",
    "volume_24h",
    "signed_volume_24h",
    "hour_of_day",
    "weekday",
    "funding_1d",
    "funding_7d",
    "funding_change",
)
"""Features of one pair by itself, in order; `daily_sigma` is the standard deviation of a day's log price."""

OWN_ODD = (
    *("move_1h", "move_4h", "move_8h", "move_24h", "move_72h"),
    *("trend_7d", "trend_14d", "trend_28d", "trend_56d"),
    *("signed_volume_24h", "funding_1d", "funding_7d", "funding_change"),
)
OWN_SWAPPED = {f"above_high_{days}d": f"below_low_{days}d" for days in (10, 20, 40)}

Funding = tuple[NDArray[np.int64], Floats]
"""Times of funding payments in microseconds since 1970, increasing, and their rates."""

_HOUR_US = 3_600_000_000
_REACH_US = HOURLY_REACH_HOURS * _HOUR_US
_LEAST_SIGMA = 1e-6
_MOVES = np.array([1, 4, 8, 24, 72, 168, 336, 672, 1_344])
_EXTREMES = np.array([240, 480, 960])


def own_hourly_features(candles: CandleColumns, funding: Funding, *, first: int = 0) -> NDArray[np.float32]:
    """Compute the rows from an index on, of shape (n - first, len(OWN_NAMES)).

    Parameters
    ----------
    funding : Funding
        Rates at or after a row's close are not used by it.
    first : int
        Index of the first row, at least 0.
    """
    out = np.full((max(0, len(candles) - first), len(OWN_NAMES)), np.nan, dtype=np.float32)
    if len(out):
        rates = (np.log(candles.high), np.log(candles.low), np.log(candles.close), candles.volume)
        _rows(candles.open_us, rates, funding, first, out)
    return out


@numba.njit(cache=True)
def _rows(open_us: NDArray[np.int64], rates: Any, funding: Funding, first: int, out: NDArray[np.float32]) -> None:
    """Write the rows from index `first` on to `out`; rows of the warm-up stay unchanged."""
    oldest = 0
    for row in range(len(out)):
        at = first + row
        while open_us[oldest] < open_us[at] + _HOUR_US - _REACH_US:
            oldest += 1
        if at - oldest >= HOURLY_WARM_UP:
            sigma = _price_part(rates, (at, at - oldest), out[row])
            if sigma > _LEAST_SIGMA:
                _volume_part(rates, at, out[row])
                _time_part(open_us[at] + _HOUR_US, funding, out[row])
            else:
                out[row] = np.nan


@numba.njit(cache=True)
def _price_part(rates: Any, place: tuple[int, int], out: NDArray[np.float32]) -> float:
    """Write volatility, moves and distances of a candle, by its index and the number of candles before it that are used.

    Return the standard deviation of a day.
    """
    close = rates[2]
    at, before = place
    squares, day, week = 0.0, 0.0, 0.0
    for back in range(HOURLY_WARM_UP):
        change = close[at - back] - close[at - back - 1]
        squares += change * change
        if back == 23:
            day = squares
        if back == 167:
            week = squares
    hour = math.sqrt(squares / HOURLY_WARM_UP)
    sigma = hour * math.sqrt(24.0)
    if sigma <= _LEAST_SIGMA:
        return sigma
    out[0] = sigma
    out[1] = 0.5 * math.log(max(day / 24.0, _LEAST_SIGMA**2)) - math.log(hour)
    out[2] = 0.5 * math.log(max(week / 168.0, _LEAST_SIGMA**2)) - math.log(hour)
    for index in range(len(_MOVES)):
        lag = _MOVES[index]
        if before >= lag:
            out[3 + index] = (close[at] - close[at - lag]) / (hour * math.sqrt(lag))
    _extremes(rates, place, sigma, out)
    return sigma


@numba.njit(cache=True)
def _extremes(rates: Any, place: tuple[int, int], sigma: float, out: NDArray[np.float32]) -> None:
    """Write the distances from the extremes of the candles before."""
    high, low, close = rates[0], rates[1], rates[2]
    at, before = place
    highest, lowest, index = -np.inf, np.inf, 0
    for back in range(1, min(before, _EXTREMES[-1]) + 1):
        highest, lowest = max(highest, high[at - back]), min(lowest, low[at - back])
        if back == _EXTREMES[index]:
            out[12 + index] = (close[at] - highest) / sigma
            out[15 + index] = (lowest - close[at]) / sigma
            index += 1


@numba.njit(cache=True)
def _volume_part(rates: Any, at: int, out: NDArray[np.float32]) -> None:
    """Write how the volume of the last hour and day compares with that of 20 days, and on which side that of the day was."""
    close, volume = rates[2], rates[3]
    total, day, signed = 0.0, 0.0, 0.0
    for back in range(480):
        total += volume[at - back]
        if back < 24:
            day += volume[at - back]
            signed += np.sign(close[at - back] - close[at - back - 1]) * volume[at - back]
    usual = total / 480.0
    if usual > 0.0:
        # One is added in units of a hundredth, so that an hour without volume has a finite logarithm.
        out[18] = math.log(volume[at] / usual + 0.01)
        out[19] = math.log(day / 24.0 / usual + 0.01)
    if day > 0.0:
        out[20] = signed / day


@numba.njit(cache=True)
def _time_part(close_us: int, funding: Funding, out: NDArray[np.float32]) -> None:
    """Write season and funding at a close."""
    out[21] = close_us % DAY_US // _HOUR_US
    out[22] = (close_us // DAY_US + 3) % 7  # 1970 began on a Thursday; Monday is 0
    times, rates = funding
    until = np.searchsorted(times, close_us)
    since = np.searchsorted(times, close_us - 7 * DAY_US)
    if until > since:
        week, day = 0.0, 0.0
        for index in range(since, until):
            week += rates[index]
            if times[index] >= close_us - DAY_US:
                day += rates[index]
        out[23], out[24] = day * 1e4, week * 1e4 / 7.0
        out[25] = (day - week / 7.0) * 1e4
