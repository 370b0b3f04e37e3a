"""Regime detectors that the one in production is compared with: thresholds of 24 h, evidence of moving averages, a jump model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.regimes.detectors import WARM_UP_HOURS, Detection, with_hysteresis
from bot3.market.regimes import Regime

_BULL, _BEAR, _SIDEWAYS, _VOLATILE = range(len(Regime))
USUAL_HOURS = 1_440


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdDetector:
    """Thresholds on the last day's volatility and return, in units of the trailing median of the daily volatility (60 days).

    The two thresholds are the best of a grid of 16 on the tuning worlds of `regime_world.py`.
    """

    trend: float = 0.7
    volatile: float = 1.6
    version: str = "thresholds"

    def detect(self, log_index: NDArray[np.float64]) -> Detection:
        """Detect the regime of each hour; probabilities are 0 or 1."""
        price = pd.Series(log_index)
        volatility = np.sqrt((price.diff().fillna(0.0) ** 2).rolling(24, min_periods=1).mean() * 24.0)
        usual = volatility.rolling(USUAL_HOURS, min_periods=1).median()
        move = price.diff(24).fillna(0.0)
        regime = np.full(len(price), _SIDEWAYS)
        regime[(move > self.trend * usual).to_numpy()] = _BULL
        regime[(move < -self.trend * usual).to_numpy()] = _BEAR
        regime[(volatility > self.volatile * usual).to_numpy()] = _VOLATILE
        return _certain(regime)


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragesDetector:
    """A forward filter over two axes with fixed constants, with hysteresis.

    The axes are the volatility (half-life a day) relative to its trailing median, and the t-statistic of the drift (half-life three days).
    """

    volatile: float = 1.4
    t_level: float = 1.25
    stay: float = 0.99
    version: str = "averages"

    def detect(self, log_index: NDArray[np.float64]) -> Detection:
        """Detect the regime of each hour."""
        probabilities = _filtered(self._evidence(log_index), self.stay)
        return with_hysteresis(probabilities, switch_at=0.6, switch_hours=6)

    def _evidence(self, log_index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the unnormalised likelihood of the four regimes in each hour; shape (n, 4)."""
        returns = pd.Series(np.diff(log_index, prepend=log_index[:1]))
        variance = (returns**2).ewm(halflife=24.0).mean()
        usual = variance.rolling(USUAL_HOURS, min_periods=WARM_UP_HOURS).median() * self.volatile**2
        spread = (returns**2).ewm(halflife=72.0).mean()
        weight = np.sqrt(72.0 * 2.0 / np.log(2.0))
        t_statistic = (returns.ewm(halflife=72.0).mean() / np.sqrt(spread.clip(lower=1e-18)) * weight).fillna(0.0).to_numpy()
        ratio = np.log((variance.clip(lower=1e-18) / usual.clip(lower=1e-18)).fillna(0.5).to_numpy())
        volatile = 1.0 / (1.0 + np.exp(-np.clip(4.0 * ratio, -30.0, 30.0)))
        up = np.exp(np.clip(t_statistic - self.t_level, -5.0, 5.0))
        down = np.exp(np.clip(-t_statistic - self.t_level, -5.0, 5.0))
        calm = (1.0 - volatile) / (up + down + 1.0)
        # Hours overlap in both moving averages, so one hour is weak evidence: the likelihood is flattened by the exponent.
        evidence: NDArray[np.float64] = np.column_stack([up * calm, down * calm, calm, volatile]) ** 0.25
        return evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpDetector:
    """A statistical jump model: four centres of features and a penalty for each switch, fitted every 60 days to the trailing year.

    Features, in units of the window's standard deviation: drift over a volatility (half-lives of 12, 72 h) and log volatility (12, 72 h).
    The regime of an hour is the last one of the cheapest path of regimes up to it.
    """

    penalty: float = 30.0
    window: int = 8_760
    every: int = 1_440
    rounds: int = 5
    version: str = "jump-model"

    def detect(self, log_index: NDArray[np.float64]) -> Detection:
        """Detect the regime of each hour; probabilities are 0 or 1."""
        features, n = _features(log_index), len(log_index)
        regime = np.full(n, _SIDEWAYS)
        starts = [start for start in (WARM_UP_HOURS, 336, *range(self.every, n, self.every)) if start < n]
        for start, end in pairwise([*starts, n]):
            known = features[max(0, start - self.window) : start]
            middle, unit = known.mean(axis=0), known.std(axis=0) + 1e-12
            centres = self._centres((known - middle) / unit)
            lead = max(0, start - 720)
            costs = _distances((features[lead:end] - middle) / unit, centres)
            regime[start:end] = _cheapest(costs, self.penalty)[0][start - lead :]
        return _certain(regime)

    def _centres(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the centres of the four regimes; one without hours stays where it was."""
        centres = np.array([[1.0, 1.0, 0.0, 0.0], [-1.0, -1.0, 0.3, 0.3], [0.0, 0.0, -0.8, -0.8], [0.0, 0.0, 1.5, 1.5]])
        for _ in range(self.rounds):
            path = _traced(*_cheapest(_distances(features, centres), self.penalty))
            for regime in range(len(Regime)):
                if (path == regime).any():
                    centres[regime] = features[path == regime].mean(axis=0)
        return _named(centres)


def _named(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centres in the order of `Regime`: the one of the highest volatility is volatile, the others are sorted by drift."""
    volatile = int(centres[:, 3].argmax())
    others = sorted(set(range(len(Regime))) - {volatile}, key=lambda row: centres[row, 1])
    return centres[[others[2], others[0], others[1], volatile]]


def _features(log_index: NDArray[np.float64]) -> NDArray[np.float64]:
    returns = pd.Series(np.diff(log_index, prepend=log_index[:1]))
    columns = []
    volatility = {hours: np.sqrt((returns**2).ewm(halflife=hours).mean().clip(lower=1e-18)) for hours in (12.0, 72.0)}
    for hours, spread in volatility.items():
        columns.append(returns.ewm(halflife=hours).mean() / spread)
    columns.extend(np.log(spread) for spread in volatility.values())
    return np.column_stack(columns)


def _distances(features: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half the squared distance of each row to each centre."""
    distances: NDArray[np.float64] = 0.5 * ((features[:, None, :] - centres) ** 2).sum(axis=2)
    return distances


@numba.njit(cache=True)
def _cheapest(costs: Any, penalty: float) -> Any:
    # Return the regime at which the cheapest path up to each row ends, and for each row and regime the best regime in the row before.
    n, k = costs.shape
    ends, before = np.empty(n, dtype=np.int64), np.empty((n, k), dtype=np.int64)
    total = costs[0].copy()
    ends[0] = np.argmin(total)
    before[0] = np.arange(k)
    for i in range(1, n):
        best = int(np.argmin(total))
        switched = total[best] + penalty
        for j in range(k):
            before[i, j] = j if total[j] <= switched else best
        for j in range(k):
            total[j] = min(total[j], switched) + costs[i, j]
        ends[i] = np.argmin(total)
    return ends, before


@numba.njit(cache=True)
def _traced(ends: Any, before: Any) -> Any:
    # Return the cheapest path over all rows.
    path = np.empty(len(ends), dtype=np.int64)
    path[-1] = ends[-1]
    for i in range(len(ends) - 1, 0, -1):
        path[i - 1] = before[i, path[i]]
    return path


@numba.njit(cache=True)
def _filtered(evidence: Any, stay: float) -> Any:
    # Return the filtered probabilities: a regime stays with probability `stay`, else switches to each other one equally.
    n, k = evidence.shape
    probabilities = np.empty((n, k))
    current = np.full(k, 1.0 / k)
    leave = (1.0 - stay) / (k - 1)
    for i in range(n):
        current = (current * (stay - leave) + leave) * evidence[i]
        current /= current.sum()
        probabilities[i] = current
    return probabilities


def _certain(regime: NDArray[np.int64]) -> Detection:
    """Return a detection of regimes that have all of the probability in their hours."""
    began = np.concatenate(([True], np.diff(regime) != 0))
    since = np.maximum.accumulate(np.where(began, np.arange(len(regime)), 0))
    return Detection(probabilities=np.eye(len(Regime))[regime], regime=regime, since=since)
