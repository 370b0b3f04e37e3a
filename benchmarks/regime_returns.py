"""Judge regime detectors on recorded candles by the log score of the next 24 hours' return of the equal-weight index.

Every day at 00:00 UTC, the return of the next 24 hours is forecast by a mixture over the regimes, weighted with the probabilities as known
then. Each regime's mean and variance are those of the earlier days on which it had the probability, shrunk towards all earlier days; the
density is Student's t with four degrees of freedom. Every detector is treated alike; `gain` is its log score less that without regimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import lgamma
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.output import tell
from bot3.learning.regimes.detectors import WARM_UP_HOURS, RegimeDetector
from bot3.learning.regimes.index import hourly_index
from bot3.market.regimes import Regime

FIRST_DAYS = 120
"""Days that are only learned from."""
_MEAN_DAYS, _VARIANCE_DAYS = 200.0, 20.0
_TAIL = 4.0
_BLOCK_DAYS = 14
_DRAWS = 2_000


def judge_returns(directory: Path, detectors: Mapping[str, RegimeDetector]) -> dict[str, object]:
    """Return by detector the figures on the 1h candles of a directory, and the number of days judged.

    `gain` is in nats a day, with its 95 % interval; `behind_first` is the interval of the first detector's gain less this one's, paired by
    day; `switches` of the regime in force are in 30 days.

    Raises
    ------
    FileNotFoundError
        If the directory has no file of 1h candles.
    """
    index = read_index(directory)
    rows = np.flatnonzero(np.asarray(index.index.hour == 0))  # type: ignore[attr-defined]  # a DatetimeIndex
    rows = rows[(rows >= WARM_UP_HOURS) & (rows + 24 < len(index))]
    values = np.asarray(index, dtype=np.float64)
    moves = values[rows + 24] - values[rows]
    alone = log_scores(np.ones((len(rows), 1)), moves)
    found: dict[str, object] = {"days": len(moves) - FIRST_DAYS}
    leading: NDArray[np.float64] | None = None
    for name, detector in detectors.items():
        detected = detector.detect(values)
        gain = log_scores(detected.probabilities[rows], moves) - alone
        leading = gain if leading is None else leading
        shares = np.bincount(detected.regime[WARM_UP_HOURS:], minlength=len(Regime)) / (len(index) - WARM_UP_HOURS)
        figures = {
            "gain": round(float(gain.mean()), 4),
            "interval": _interval(gain),
            "behind_first": _interval(leading - gain),
            "switches": round(float(np.count_nonzero(np.diff(detected.regime)) / (len(index) / 720)), 2),
            "shares": {str(regime): round(float(share), 3) for regime, share in zip(Regime, shares, strict=True)},
        }
        tell(f"next 24 h, {name}: {figures}")
        found[name] = figures
    return found


def read_index(directory: Path) -> pd.Series:
    """Return the hourly index of all pairs of a directory."""
    files = sorted(directory.rglob("*-1h-futures.feather"))
    if not files:
        raise FileNotFoundError(f"{directory} has no file of 1h candles (*-1h-futures.feather)")
    return hourly_index({file.name: pd.read_feather(file).rename(columns={"date": "open_time"}) for file in files})


def log_scores(weights: NDArray[np.float64], moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log density that was forecast for each day's move, from day `FIRST_DAYS` on, each from earlier days only.

    Parameters
    ----------
    weights : array of shape (days, classes)
        Probability of each class as known at the start of the day; rows sum to 1.
    """
    # Sums before each day: the outcome of a day is known at the start of the next one.
    hours = _before(weights)
    first, second = _before(weights * moves[:, None]), _before(weights * moves[:, None] ** 2)
    n = np.maximum(np.arange(len(moves), dtype=np.float64), 1.0)[:, None]
    mean_all = first.sum(axis=1, keepdims=True) / n
    variance_all = second.sum(axis=1, keepdims=True) / n
    mean = (first + _MEAN_DAYS * mean_all) / (hours + _MEAN_DAYS)
    variance = (second + _VARIANCE_DAYS * variance_all) / (hours + _VARIANCE_DAYS)
    scale = np.sqrt(np.maximum(variance, 1e-12) * (_TAIL - 2.0) / _TAIL)
    z = (moves[:, None] - mean) / scale
    constant = lgamma((_TAIL + 1.0) / 2.0) - lgamma(_TAIL / 2.0) - 0.5 * np.log(_TAIL * np.pi)
    density = (weights * np.exp(constant - 0.5 * (_TAIL + 1.0) * np.log1p(z**2 / _TAIL)) / scale).sum(axis=1)
    scores: NDArray[np.float64] = np.log(density[FIRST_DAYS:])
    return scores


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the rows before each row."""
    return np.cumsum(values, axis=0) - values


def _interval(gain: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by a bootstrap of blocks of days."""
    rng = np.random.default_rng(1)
    starts = rng.integers(0, len(gain) - _BLOCK_DAYS + 1, (_DRAWS, -(-len(gain) // _BLOCK_DAYS)))
    sums = np.concatenate(([0.0], np.cumsum(gain)))
    means = (sums[starts + _BLOCK_DAYS] - sums[starts]).mean(axis=1) / _BLOCK_DAYS
    low, high = np.quantile(means, [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)
