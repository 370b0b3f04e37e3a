"""Candles of one pair as arrays for replay: prices, volatility and cumulative funding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.market.instants import microseconds
from bot3.market.volatility import expected_sigma

WARM_UP_CANDLES = 288
"""Minimum number of candles before an entry from which its volatility is known well enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleArrays:
    """Candles of one pair, oldest first.

    `open_us` are microseconds since 1970. `sigma[i]` is the expected volatility over the horizon at the close of candle i.
    `funding_sum[i]` is the sum of funding rates up to and including the open of candle i; `funding_us` are the times of the known rates.
    """

    open_us: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    sigma: NDArray[np.float64]
    funding_sum: NDArray[np.float64]
    funding_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.open_us)


def candle_arrays(candles: pd.DataFrame, funding: pd.DataFrame, *, horizon_candles: int) -> CandleArrays:
    """Return the arrays of a candle frame and its funding frame, which may be empty: unknown rates count as zero."""
    open_us = microseconds(candles["open_time"])
    sums = np.concatenate(([0.0], np.cumsum(funding["funding_rate"].to_numpy(dtype=np.float64))))
    funding_us = microseconds(funding["time"])
    paid = np.searchsorted(funding_us, open_us, side="right")
    return CandleArrays(
        open_us=open_us,
        **{name: candles[name].to_numpy(dtype=np.float64, copy=True) for name in ("open", "high", "low", "close")},
        sigma=expected_sigma(candles["close"].to_numpy(dtype=np.float64), horizon_candles=horizon_candles),
        funding_sum=sums[paid],
        funding_us=funding_us,
    )
