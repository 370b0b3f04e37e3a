"""Conversions between aware UTC times and whole microseconds since 1970, the unit of the names that end in `_us`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


def instant_us(at: datetime) -> int:
    """Return an aware time as microseconds since 1970.

    Raises
    ------
    CandleError
        If the time has no time zone.
    """
    if at.tzinfo is None:
        raise CandleError(f"the time {at.isoformat()} has no time zone: pass an aware UTC time")
    return (at - EPOCH) // MICROSECOND


def instant_of(at_us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC time."""
    return EPOCH + timedelta(microseconds=at_us)


def microseconds(times: pd.Series) -> NDArray[np.int64]:
    """Return a column of aware times as microseconds since 1970."""
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def instants(at_us: NDArray[np.int64]) -> pd.Series:
    """Return microseconds since 1970 as a column of aware times, datetime64[us, UTC]."""
    return pd.Series(at_us.astype("datetime64[us]")).dt.tz_localize("UTC")
