"""Detect regimes by the forward filter of a hidden Markov model that is fitted to earlier hours only, with hysteresis.

Each regime has a drift and a scale of hourly log returns, which follow Student's t with three degrees of freedom, so that one large hour is
weak evidence. Sideways and volatile have no drift. Bull and bear mirror each other in drift, scale and switching, so that only the market's
direction separates them: otherwise they become two levels of volatility on recorded candles, and a bear market may rise. The model is
fitted again every 30 days to the trailing year by expectation maximisation towards a prior, which fixes the regime that each state means.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.learning.regimes.detectors import WARM_UP_HOURS, Detection, with_hysteresis

_TAIL = 3.0  # degrees of freedom: the exponent -(_TAIL + 1) / 2 of the density is then a square, not a power
_FIRST_FITS = (WARM_UP_HOURS, 168, 336)
_NORMAL_MEDIAN = 0.6745
_SMALLEST = 1e-9
_MIRROR = [1, 0, 2, 3]
_Model = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Drift and scale of an hour by regime, each of shape (4,), and the probability of each switch within an hour, shape (4, 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenMarkovDetector:
    """The detector of the platform; times in hours.

    Parameters
    ----------
    window, every : int
        Hours of the trailing window that the model is fitted to, and between two fits. A young index is fitted after 72, 168 and 336 hours
        too. The same hours are always fitted alike: no fit starts from an earlier one.
    rounds : int
        Rounds of expectation maximisation, from the prior.
    drifts, scales : tuple of float
        The prior's drift and scale of an hour by regime, in units of the median size of a return of the window, as a standard deviation.
    lasting : tuple of float
        The prior's mean duration of each regime.
    drift_hours, scale_hours, exits : float
        Weight of the prior, as a number of hours with its drift and with its scale, and of exits from each regime.
    least_drift : float
        Share of the prior's drift below which no fitted drift falls, so that bull and bear markets keep their signs.
    switch_at, switch_hours : float, int
        Another regime must have more than `switch_at` of the probability for `switch_hours` in a row before it replaces the one in force.
    """

    window: int = 8_760
    every: int = 720
    rounds: int = 10
    drifts: tuple[float, float, float, float] = (0.10, -0.10, 0.0, 0.0)
    scales: tuple[float, float, float, float] = (0.9, 0.9, 0.6, 1.7)
    lasting: tuple[float, float, float, float] = (312.0, 312.0, 384.0, 216.0)
    drift_hours: float = 150.0
    scale_hours: float = 50.0
    exits: float = 3.0
    least_drift: float = 1.0
    switch_at: float = 0.7
    switch_hours: int = 6

    @property
    def version(self) -> str:
        """Return `hmm` and eight digits of a digest of the settings."""
        return f"hmm-{hashlib.blake2s(repr(self).encode(), digest_size=4).hexdigest()}"

    def detect(self, log_index: NDArray[np.float64]) -> Detection:
        """Detect the regime of each hour from that hour and earlier ones; in the first `WARM_UP_HOURS` rows all have a quarter."""
        probabilities = self.probabilities(log_index)
        return with_hysteresis(probabilities, switch_at=self.switch_at, switch_hours=self.switch_hours)

    def probabilities(self, log_index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the filtered probabilities of each hour, shape (n, 4) in the order of `Regime`."""
        n = len(log_index)
        returns = np.diff(log_index, prepend=log_index[:1])
        found = np.full((n, 4), 0.25)
        current = np.full(4, 0.25)
        starts = [*_FIRST_FITS, *range(self.every, n, self.every)]
        starts = sorted({start for start in starts if start < n})
        for start, end in pairwise([*starts, n]):
            model = self._fit(returns[max(0, start - self.window) : start])
            found[start:end], _ = _forward(returns[start:end], current, *model)
            current = found[end - 1]
        return found

    def _fit(self, returns: NDArray[np.float64]) -> _Model:
        """Return the model of some hours."""
        unit = max(float(np.median(np.abs(returns))) / _NORMAL_MEDIAN, _SMALLEST)
        lasting = np.array(self.lasting)
        switching = np.repeat(1.0 / lasting / 3.0, 4).reshape(4, 4)
        np.fill_diagonal(switching, 1.0 - 1.0 / lasting)
        prior = np.array(self.drifts) * unit, np.array(self.scales) * unit, switching
        model: _Model = prior
        for _ in range(self.rounds):
            model = self._improved(prior, *_expected(returns, *model))
        return model

    def _improved(self, prior: _Model, sums: NDArray[np.float64], moves: NDArray[np.float64]) -> _Model:
        """Return the model of the highest posterior density given the expectations of `_expected`."""
        hours, weights, first, second = _symmetric(sums)
        moves = (moves + moves[_MIRROR][:, _MIRROR]) / 2.0
        usual, usual_scales, _ = prior
        drifts = (first + self.drift_hours * usual) / (weights + self.drift_hours)
        drifts = np.where(usual > 0.0, np.maximum(drifts, self.least_drift * usual), np.minimum(drifts, self.least_drift * usual))
        scales = np.sqrt((second + self.scale_hours * usual_scales**2) / (hours + self.scale_hours))
        exits = moves.sum(axis=1) - np.diag(moves)
        leaving = (exits + self.exits) / (hours + self.exits * np.array(self.lasting))
        switching = leaving[:, None] * (moves + self.exits / 3.0) / (exits + self.exits)[:, None]
        np.fill_diagonal(switching, 1.0 - leaving)
        return np.where(usual == 0.0, 0.0, drifts), scales, switching


def _symmetric(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the sums of `_expected` and of those of the mirrored market, in which bull and bear change places."""
    mirrored = sums[:, _MIRROR] * np.array([1.0, 1.0, -1.0, 1.0])[:, None]
    symmetric: NDArray[np.float64] = (sums + mirrored) / 2.0
    return symmetric


@numba.njit(cache=True)
def _forward(returns: Any, current: Any, drifts: Any, scales: Any, switching: Any) -> Any:
    # Return each hour's probabilities given it and earlier ones, and those predicted from earlier ones only. `current`: of the hour before.
    n = len(returns)
    filtered, predicted = np.empty((n, 4)), np.empty((n, 4))
    for i in range(n):
        before = current if i == 0 else filtered[i - 1]
        total = 0.0
        for k in range(4):
            predicted[i, k] = (
                before[0] * switching[0, k] + before[1] * switching[1, k] + before[2] * switching[2, k] + before[3] * switching[3, k]
            )
            z = (returns[i] - drifts[k]) / scales[k]
            spread = 1.0 + z * z / _TAIL
            filtered[i, k] = predicted[i, k] / (spread * spread * scales[k])
            total += filtered[i, k]
        for k in range(4):
            filtered[i, k] /= total
    return filtered, predicted


@numba.njit(cache=True)
def _expected(returns: Any, drifts: Any, scales: Any, switching: Any) -> Any:
    # Return (sums, moves) given all hours. Rows of `sums`, by regime: hours in it; their weights in Student's t; weighted sum of returns;
    # weighted sum of squared deviations. `moves`: number of switches from each regime to each other one.
    n = len(returns)
    filtered, predicted = _forward(returns, np.full(4, 0.25), drifts, scales, switching)
    sums, moves = np.zeros((4, 4)), np.zeros((4, 4))
    given, ratio = filtered[n - 1].copy(), np.empty(4)
    for i in range(n - 1, -1, -1):
        for k in range(4):
            deviation = returns[i] - drifts[k]
            z = deviation / scales[k]
            weight = (_TAIL + 1.0) / (_TAIL + z * z) * given[k]
            sums[0, k] += given[k]
            sums[1, k] += weight
            sums[2, k] += weight * returns[i]
            sums[3, k] += weight * deviation * deviation
            ratio[k] = given[k] / max(predicted[i, k], 1e-300)
        if i > 0:
            for k in range(4):
                given[k] = 0.0
                for j in range(4):
                    move = filtered[i - 1, k] * switching[k, j] * ratio[j]
                    moves[k, j] += move
                    given[k] += move
    return sums, moves
