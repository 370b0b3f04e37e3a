"""Check over which spans of time a pair's funding is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.market.instants import HOUR_US, microseconds

LONGEST_STEP_US = 8 * HOUR_US
"""Longest interval between two settlements on exchanges: 8 hours."""
_HOLE_US = 12 * HOUR_US
"""Two known rates further apart than this have unknown ones between them."""


def has_funding(pair: str) -> bool:
    """Return whether positions of a pair pay funding: perpetual contracts do ("BTC/USDT:USDT"), spot and dated contracts do not."""
    settle = pair.partition(":")[2]
    return bool(settle) and "-" not in settle


def funding_missing(pair: str, times_us: NDArray[np.int64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> int:
    """Count the spans of a pair with unknown funding, as defined by `is_funding_known`; 0 for a pair without funding."""
    return int((~is_funding_known(times_us, start_us, end_us)).sum()) if has_funding(pair) else 0


def is_funding_known(times_us: NDArray[np.int64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each span whether every rate in it is known.

    Parameters
    ----------
    times_us : int array of shape (k,)
        Settlement times of the known rates, microseconds since 1970, in any order.
    start_us, end_us : int arrays of shape (n,)
        The spans, both ends included.

    Returns
    -------
    bool array of shape (n,)
        False if a span begins before the first known rate, ends at or after the time at which the next rate is due, or overlaps a gap of
        more than 12 hours; false for all spans if no rate is known.
    """
    times = np.unique(times_us)
    if not len(times):
        return np.zeros(len(start_us), dtype=np.bool_)
    steps = np.diff(times)
    due = times[-1] + (min(int(np.median(steps)), LONGEST_STEP_US) if len(steps) else LONGEST_STEP_US)
    holes = np.flatnonzero(steps > _HOLE_US)
    ended_before = np.searchsorted(times[holes + 1], start_us, side="right")
    began_before = np.searchsorted(times[holes], end_us, side="left")
    known: NDArray[np.bool_] = (times[0] <= start_us) & (end_us < due) & (began_before <= ended_before)
    return known


def changed_payments(before: pd.DataFrame, after: pd.DataFrame) -> NDArray[np.int64]:
    """Return the sorted settlement times of payments that only one of two funding frames contains, or whose rates differ."""
    frames = [(microseconds(frame["time"]), frame["funding_rate"].to_numpy(dtype=np.float64)) for frame in (before, after)]
    n = min(len(before), len(after))
    differ = np.flatnonzero(np.logical_or(*(held[:n] != known[:n] for held, known in zip(*frames, strict=True))))
    same = int(differ[0]) if len(differ) else n
    held, known = (set(zip(times[same:].tolist(), rates[same:].tolist(), strict=True)) for times, rates in frames)
    return np.array(sorted({time for time, _ in held ^ known}), dtype=np.int64)
