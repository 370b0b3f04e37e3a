"""Calibrate forecasts on outcomes: how much of a forecast is true, what a rule is worth on average, and how often a trade wins.

All estimates shrink by their own standard error, which is clustered by time: trades that overlap move together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.market.indicators import Floats

LEAST_T = 2.0
"""A forecast has out-of-fold information if its slope is at least this many standard errors above 0."""
LEAST_CLUSTERS = 10
"""Smallest number of clusters from which a mean or a slope is estimated."""
RULE_PRIOR = 0.15
SIDE_PRIOR = 0.05
"""Standard deviations, in units of sigma over the horizon, of what rules are worth, and of a direction's difference from both."""

_STEPS = 50
_RIDGE = 1e-6
_LARGEST_SLOPE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Share of a forecast that is true: `value` is shrunken, and 0 without information; `t` is the raw slope over its standard error."""

    value: float
    t: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """Parameters of P(net profit > 0) = 1 / (1 + exp(-(slope x expected net profit in sigma + offset))); the slope is at least 0."""

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (self.slope >= 0.0 and np.isfinite(self.slope) and np.isfinite(self.offset)):
            raise ValueError(f"a win rate needs a finite slope of at least 0 and a finite offset, were {self.slope} and {self.offset}")

    def probability(self, expected: Floats) -> Floats:
        """Convert expected net profits in units of sigma to probabilities."""
        return _sigmoid(self.slope * expected + self.offset)


def fit_slope(forecast: Floats, outcome: Floats, weight: Floats, clusters: NDArray[np.int64]) -> Slope:
    """Regress outcomes on out-of-fold forecasts through the origin, and shrink the slope.

    Parameters
    ----------
    forecast, outcome, weight : float64 arrays of shape (n,)
        In units of sigma; weights at least 0.
    clusters : int64 array of shape (n,)
        Rows of one cluster may depend on each other.

    Returns
    -------
    Slope
        0 with fewer than `LEAST_CLUSTERS` clusters, forecasts that are all 0, or a t below `LEAST_T`; at most 2.
    """
    power = float((weight * forecast**2).sum())
    if len(np.unique(clusters)) < LEAST_CLUSTERS or power <= 0.0:
        return Slope(value=0.0, t=0.0)
    raw = float((weight * forecast * outcome).sum()) / power
    error = _clustered(weight * forecast * (outcome - raw * forecast), clusters) / power
    t = raw / error if error > 0.0 else 0.0
    value = min(raw * (1.0 - 1.0 / t**2), _LARGEST_SLOPE) if t >= LEAST_T else 0.0
    return Slope(value=value, t=t)


def fit_expectancies(outcome: Floats, weight: Floats, is_short: NDArray[np.bool_], clusters: NDArray[np.int64]) -> tuple[float, float]:
    """Estimate what a rule's trades are worth, long and short, in units of sigma.

    The mean of both directions is shrunk towards 0, and each direction's difference from it towards that mean. Without enough clusters
    (`LEAST_CLUSTERS`) the estimate is the mean of the prior, 0, or for one direction the mean of both.
    """
    both = _shrunken(outcome, weight, clusters, prior=RULE_PRIOR)
    sides = []
    for rows in (~is_short, is_short):
        difference = _shrunken(outcome[rows] - both, weight[rows], clusters[rows], prior=SIDE_PRIOR)
        sides.append(both + difference)
    return sides[0], sides[1]


def fit_win_rate(expected: Floats, is_won: NDArray[np.bool_], weight: Floats) -> WinRate:
    """Fit a win rate on out-of-fold expectations by penalised maximum likelihood; without rows it is one half.

    One win and one loss, each with the mean weight, are added to the rows, so that the probability is never 0 or 1.
    """
    if not len(expected):
        return WinRate(slope=0.0, offset=0.0)
    unit = float(weight.mean())
    centre = float(np.average(expected, weights=weight))
    x = np.concatenate((expected, [centre, centre]))
    y = np.concatenate((is_won, [0.0, 1.0])).astype(np.float64)
    w = np.concatenate((weight, [unit, unit]))
    slope, offset = _newton(x, y, w / w.sum())
    if not slope > 0.0:
        share = float(np.average(y, weights=w))
        slope, offset = 0.0, float(np.log(share / (1.0 - share)))
    return WinRate(slope=slope, offset=offset)


def log_loss(probability: Floats, is_won: NDArray[np.bool_], weight: Floats) -> float:
    """Compute the weighted mean negative log likelihood with the natural logarithm."""
    return float(np.average(-np.log(np.where(is_won, probability, 1.0 - probability)), weights=weight))


def _shrunken(outcome: Floats, weight: Floats, clusters: NDArray[np.int64], *, prior: float) -> float:
    total = float(weight.sum())
    if len(np.unique(clusters)) < LEAST_CLUSTERS or total <= 0.0:
        return 0.0
    mean = float((weight * outcome).sum()) / total
    error = _clustered(weight * (outcome - mean), clusters) / total
    return mean * prior**2 / (prior**2 + error**2)


def _clustered(scores: Floats, clusters: NDArray[np.int64]) -> float:
    """Return the standard deviation of a sum whose terms are independent only between clusters."""
    _, places = np.unique(clusters, return_inverse=True)
    return float(np.sqrt((np.bincount(places, weights=scores) ** 2).sum()))


def _newton(x: Floats, label: Floats, weight: Floats) -> tuple[float, float]:
    # Newton's method on the weighted log likelihood, with a weak ridge penalty towards a slope of 0 and steps clipped to 2.
    slope, offset = 0.0, 0.0
    for _ in range(_STEPS):
        p = _sigmoid(slope * x + offset)
        slack, curve = weight * (label - p), weight * p * (1.0 - p)
        # Sums instead of dot products: BLAS splits dot products among threads, so the last bit of a model would depend on their number.
        gradient = np.array([(slack * x).sum() - _RIDGE * slope, slack.sum()])
        mixed = (curve * x).sum()
        hessian = np.array([[(curve * x * x).sum() + _RIDGE, mixed], [mixed, curve.sum() + 1e-12]])
        step = np.clip(np.linalg.solve(hessian, gradient), -2.0, 2.0)
        slope, offset = slope + float(step[0]), offset + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, offset


def _sigmoid(x: Floats) -> Floats:
    value: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))
    return value
