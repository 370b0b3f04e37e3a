"""Candles of one pair in memory, with fast queries by time."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from bot3.errors import CandleError
from bot3.market.candles import CANDLE_COLUMNS, FUNDING_COLUMNS
from bot3.market.instants import instant_of, instant_us
from bot3.market.timeframes import timeframe_duration


class CandleSeries:
    """A valid candle frame with a separate array of its open times, so that a query by span takes two binary searches.

    Parameters
    ----------
    candles : DataFrame
        A candle frame (`market.candles`). The series references it without a copy: pandas copies it when a caller writes to a slice.
    """

    def __init__(self, candles: pd.DataFrame, *, pair: str, timeframe: str) -> None:
        self._candles = candles
        self._pair = pair
        self._timeframe = timeframe
        self._duration_us = timeframe_duration(timeframe) // timedelta(microseconds=1)
        self._opens = candles["open_time"].to_numpy(dtype="datetime64[us]").astype(np.int64)

    def __len__(self) -> int:
        return len(self._opens)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time. Raises CandleError if the series is empty."""
        if not len(self._opens):
            raise CandleError(f"there is no {self._timeframe} candle of {self._pair}: fetch candles first")
        first, last = int(self._opens[0]), int(self._opens[-1]) + self._duration_us
        return instant_of(first), instant_of(last)

    def between(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candles that open at or after start and are closed by end."""
        low = int(np.searchsorted(self._opens, instant_us(start), side="left"))
        high = int(np.searchsorted(self._opens, instant_us(end) - self._duration_us, side="right"))
        return self._candles.iloc[low : max(low, high)].reset_index(drop=True)

    def rate_at(self, at: datetime) -> float:
        """Return the open of the candle in progress, else the last close.

        Raises
        ------
        CandleError
            If no candle opened at or before `at`, or the last one closed more than two candle durations earlier.
        """
        instant = instant_us(at)
        index = int(np.searchsorted(self._opens, instant, side="right")) - 1
        if index < 0:
            raise CandleError(f"no {self._timeframe} candle of {self._pair} is known by {at.isoformat()}: fetch earlier candles")
        closed_at = int(self._opens[index]) + self._duration_us
        if instant < closed_at:
            return float(self._candles["open"].iloc[index])
        if instant - closed_at > 2 * self._duration_us:
            closed = instant_of(closed_at)
            raise CandleError(
                f"the last {self._timeframe} candle of {self._pair} before {at.isoformat()} closed at {closed.isoformat()}: "
                "it is too old, fetch newer candles"
            )
        return float(self._candles["close"].iloc[index])


def funding_between(funding: pd.DataFrame, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the rows of a funding frame with start <= time < end."""
    times = funding["time"].to_numpy(dtype="datetime64[us]").astype(np.int64)
    low = int(np.searchsorted(times, instant_us(start), side="left"))
    high = int(np.searchsorted(times, instant_us(end), side="left"))
    return funding.iloc[low : max(low, high)].reset_index(drop=True)


def no_candles() -> pd.DataFrame:
    """Return an empty candle frame."""
    times = pd.Series([], dtype="datetime64[us, UTC]")
    return pd.DataFrame({"open_time": times, **{name: pd.Series([], dtype="float64") for name in CANDLE_COLUMNS[1:]}})


def no_funding() -> pd.DataFrame:
    """Return an empty funding frame."""
    return pd.DataFrame({"time": pd.Series([], dtype="datetime64[us, UTC]"), FUNDING_COLUMNS[1]: pd.Series([], dtype="float64")})
