"""Compute the hourly equal-weight index of the traded pairs, on which the market's regime is detected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bot3.errors import CandleError


def hourly_index(closes: Mapping[str, pd.DataFrame]) -> pd.Series[Any]:
    """Compute the log of the equal-weight index of some pairs by hour, indexed by the end of the hour (when it is known).

    Parameters
    ----------
    closes : mapping
        Candle frame by pair, with a timeframe of at most an hour. An hour is included once its last candle has closed; its return is the
        mean over the pairs that have candles in it.

    Raises
    ------
    CandleError
        If no pair has at least two candles.
    """
    returns = {}
    for pair, candles in closes.items():
        if len(candles) < 2:
            continue
        hour = candles["open_time"].dt.floor("h")
        last = candles["open_time"].iloc[-1]
        step = candles["open_time"].diff().min()
        close = pd.Series(np.log(candles["close"].to_numpy())).groupby(hour.to_numpy(dtype="datetime64[us]")).last()
        whole = close.index <= (last + step - pd.Timedelta(hours=1)).tz_localize(None)
        returns[pair] = close[whole].diff()
    if not returns:
        raise CandleError("the market's index cannot be computed, because no pair has candles: fetch candles first")
    mean = pd.DataFrame(returns).sort_index().mean(axis=1).fillna(0.0)
    index: pd.Series[Any] = mean.cumsum()
    index.index = pd.DatetimeIndex(index.index).tz_localize("UTC") + pd.Timedelta(hours=1)
    return index
