"""Check that entries lie inside their candles.

Only trades whose source has no orders are checked. If most of such trades of a bot lie outside, its dates or rates are not those of the
first entries, or the candles are of another market.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.candle_arrays import CandleArrays

TOLERANCE = 0.002
"""Maximum distance of a fill from its candle, ratio of the price: exchanges and data feeds differ by this much."""
MOST = 0.5
"""If more than this share of a bot's checked entries lie outside their candles, its trades without orders are not learned from."""
NO_CANDLE, INSIDE, OUTSIDE = -1, 0, 1


def entry_fit(candles: CandleArrays, *, open_us: NDArray[np.int64], open_rate: NDArray[np.float64], candle_us: int) -> NDArray[np.int8]:
    """Check for each entry whether its rate lies inside the candle of its instant.

    Parameters
    ----------
    open_us : int64 array of shape (N,)
        Times of the entries, microseconds since 1970.
    open_rate : float64 array of shape (N,)
        Rates of the entries.
    candle_us : int
        Duration of a candle, microseconds.

    Returns
    -------
    int8 array of shape (N,)
        `INSIDE`, `OUTSIDE` (by more than `TOLERANCE`), or `NO_CANDLE`.
    """
    fit = np.full(len(open_us), NO_CANDLE, dtype=np.int8)
    if not len(candles):
        return fit
    at = np.searchsorted(candles.open_us, open_us, side="right") - 1
    has_candle = (at >= 0) & (candles.open_us[np.maximum(at, 0)] + candle_us > open_us)
    rate, at = open_rate[has_candle], at[has_candle]
    is_outside = (rate < candles.low[at] * (1.0 - TOLERANCE)) | (rate > candles.high[at] * (1.0 + TOLERANCE))
    fit[has_candle] = np.where(is_outside, OUTSIDE, INSIDE)
    return fit
