"""Sigma: the expected standard deviation of the log price over a horizon."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIGMA_HALF_LIFE_CANDLES = 288  # 24 h of 5m candles
SIGMA_WARM_UP_CANDLES = 20 * SIGMA_HALF_LIFE_CANDLES  # older candles have a total weight below one in a million


def expected_sigma(close: NDArray[np.float64], *, horizon_candles: int) -> NDArray[np.float64]:
    """Return the expected standard deviation of the log price over the horizon, at each candle's close.

    Parameters
    ----------
    close : array of shape (n,)
        Closes, above 0, oldest first; start `SIGMA_WARM_UP_CANDLES` before the first value needed.
    horizon_candles : int
        Length of the horizon in candles of the same timeframe, at least 1.

    Returns
    -------
    array of shape (n,)
        Value i uses closes 0..i only; the first 12 are NaN. Standard deviation of the log price: 0.03 is about 3 % of the price.
    """
    squared = np.diff(np.log(close), prepend=np.nan) ** 2
    smoothed = pd.Series(squared).ewm(halflife=SIGMA_HALF_LIFE_CANDLES, min_periods=12).mean()
    variance: NDArray[np.float64] = smoothed.to_numpy(dtype=np.float64)
    sigma: NDArray[np.float64] = np.sqrt(variance * horizon_candles)
    return sigma
