"""Sigma: how far a price is expected to move within a horizon."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIGMA_HALF_LIFE_CANDLES = 288  # 24 h of 5m candles
SIGMA_WARM_UP_CANDLES = 20 * SIGMA_HALF_LIFE_CANDLES  # what is older weighs less than one in a million


def expected_sigma(close: NDArray[np.float64], *, horizon_candles: int) -> NDArray[np.float64]:
    """Return the standard deviation of the log price over the horizon, as expected at each candle's close.

    Parameters
    ----------
    close : array of shape (n,)
        Closes, above 0, oldest first; start `SIGMA_WARM_UP_CANDLES` before the first value that is used.
    horizon_candles : int
        Length of the horizon in the same candles, at least 1.

    Returns
    -------
    array of shape (n,)
        Value i uses closes 0..i only; the first is NaN. A ratio of the price (log), 0.03 is 3 %.
    """
    squared = np.diff(np.log(close), prepend=np.nan) ** 2
    smoothed = pd.Series(squared).ewm(halflife=SIGMA_HALF_LIFE_CANDLES, min_periods=12).mean()
    variance: NDArray[np.float64] = smoothed.to_numpy(dtype=np.float64)
    sigma: NDArray[np.float64] = np.sqrt(variance * horizon_candles)
    return sigma
