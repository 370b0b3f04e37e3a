"""Indicators that the features are built from: rolling functions on one pair's arrays; no value uses a later candle than its own.

TA-Lib starts its recursions at the first value, so a value depends on where the arrays start. The windows are chosen so that this effect
decays below float32's rounding error within `features.FEATURE_WARM_UP_CANDLES`. Arrays passed to TA-Lib must not contain NaN: running sums
would propagate it to all later values.
"""

from __future__ import annotations

import math

import numpy as np
import talib
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SPREAD = 1e-7  # a smaller standard deviation is a rounding error, not a movement of the price


def ratio(above: Floats, below: Floats, *, least: float | Floats = LEAST_SPREAD) -> Floats:
    """Return above / below, NaN where below is not larger than `least`."""
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below > least)
    return out


def log_ratio(above: Floats, below: Floats, *, least: float = LEAST_SPREAD) -> Floats:
    """Return the logarithm of above / below, NaN where either of the two is not larger than `least`."""
    out = np.full(len(above), np.nan)
    np.log(ratio(above, below, least=least), out=out, where=(above > least) & (below > least))
    return out


def power_of_two_below(value: float) -> float:
    """Return the largest power of two not above a value (above 0); division by it causes no rounding."""
    return math.ldexp(1.0, math.frexp(value)[1] - 1)


def change(values: Floats, *, lag: int) -> Floats:
    """Return the difference of each value from the one `lag` candles before; NaN for the first `lag` values."""
    out = np.full(len(values), np.nan)
    out[lag:] = values[lag:] - values[:-lag]
    return out


def lagged(values: Floats, *, lag: int) -> Floats:
    """Return the values shifted by `lag` candles; NaN for the first `lag` values."""
    out = np.full(len(values), np.nan)
    out[lag:] = values[:-lag]
    return out


def rolling_sum(values: Floats, *, window: int) -> Floats:
    """Return the sum of the last `window` values."""
    out: Floats = talib.SUM(values, timeperiod=window)
    return out


def rolling_mean(values: Floats, *, window: int) -> Floats:
    """Return the mean of the last `window` values."""
    out: Floats = talib.SMA(values, timeperiod=window)
    return out


def rolling_spread(values: Floats, *, window: int) -> Floats:
    """Return the standard deviation of the last `window` values around their mean."""
    out: Floats = talib.STDDEV(values, timeperiod=window, nbdev=1.0)
    return out


def rolling_highest(values: Floats, *, window: int) -> Floats:
    """Return the highest of the last `window` values."""
    out: Floats = talib.MAX(values, timeperiod=window)
    return out


def rolling_lowest(values: Floats, *, window: int) -> Floats:
    """Return the lowest of the last `window` values."""
    out: Floats = talib.MIN(values, timeperiod=window)
    return out


def directional_balance(high: Floats, low: Floats, close: Floats, *, window: int) -> Floats:
    """Return Wilder's plus directional indicator minus the minus directional indicator, from -1 to 1."""
    plus: Floats = talib.PLUS_DI(high, low, close, timeperiod=window)
    minus: Floats = talib.MINUS_DI(high, low, close, timeperiod=window)
    return (plus - minus) / 100.0


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Return each candle's true range (including the gap from the previous close); for the first candle high minus low."""
    out: Floats = talib.TRANGE(high, low, close)
    out[:1] = high[:1] - low[:1]
    return out


def aroon_balance(high: Floats, low: Floats, *, window: int) -> Floats:
    """Return the Aroon oscillator, from -1 (the low is the most recent extreme) to 1."""
    out: Floats = talib.AROONOSC(high, low, timeperiod=window) / 100.0
    return out


def rolling_slope(values: Floats, *, window: int) -> Floats:
    """Return the slope of the least-squares line through the last `window` values, per candle."""
    out: Floats = talib.LINEARREG_SLOPE(values, timeperiod=window)
    return out
