"""Over which spans of time a pair's funding is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.candle_arrays import microseconds

_HOUR_US = 3_600_000_000
LONGEST_STEP_US = 8 * _HOUR_US
"""Exchanges settle every 8 hours at the longest."""
_HOLE_US = 12 * _HOUR_US
"""Two known rates that lie further apart have unknown ones between them."""


def has_funding(pair: str) -> bool:
    """Say whether positions of a pair pay funding: perpetual contracts do ("BTC/USDT:USDT"), spot and dated contracts do not."""
    settle = pair.partition(":")[2]
    return bool(settle) and "-" not in settle


def funding_missing(pair: str, times_us: NDArray[np.int64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> int:
    """Return for how many spans of a pair its funding is not known, as `is_funding_known` tells it; 0 where a pair has no funding."""
    return int((~is_funding_known(times_us, start_us, end_us)).sum()) if has_funding(pair) else 0


def is_funding_known(times_us: NDArray[np.int64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say for each span whether every rate in it is known.

    Parameters
    ----------
    times_us : int array of shape (k,)
        When the known rates were settled, microseconds since 1970, in any order.
    start_us, end_us : int arrays of shape (n,)
        The spans, both ends included.

    Returns
    -------
    bool array of shape (n,)
        False where a span begins before the first known rate, ends when the next one after the last is due, or meets a hole of 12 hours.
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
    """Return when payments were settled that only one of two funding frames has, or that have another rate in each; sorted."""
    frames = [(microseconds(frame["time"]), frame["funding_rate"].to_numpy(dtype=np.float64)) for frame in (before, after)]
    n = min(len(before), len(after))
    differ = np.flatnonzero(np.logical_or(*(held[:n] != known[:n] for held, known in zip(*frames, strict=True))))
    same = int(differ[0]) if len(differ) else n
    held, known = (set(zip(times[same:].tolist(), rates[same:].tolist(), strict=True)) for times, rates in frames)
    return np.array(sorted({time for time, _ in held ^ known}), dtype=np.int64)
