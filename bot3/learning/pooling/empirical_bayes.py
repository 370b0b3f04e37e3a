"""Empirical Bayes: effective number of observations, and weights of a group against its parent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.grids import GridSums
from bot3.market.instants import DAY_US
from bot3.trading.intervals import MIN_DAYS

INTERVAL_Z = 1.6448536269514722  # normal quantile of a two-sided 90 % interval


def effective_n(outcomes: NDArray[np.float64], open_us: NDArray[np.int64], *, horizon_days: int = 1) -> float:
    """Compute the effective n: the number of independent observations whose mean would be as uncertain as the mean of these.

    Parameters
    ----------
    outcomes : array of shape (n,)
        Net outcomes.
    open_us : array of shape (n,)
        Times of the entries, microseconds since 1970.
    horizon_days : int
        Number of counted autocovariances of the daily sums: trades that overlap in time are correlated.

    Returns
    -------
    float
        From 1 to n; the number of days with entries if there are fewer than `MIN_DAYS` (or all outcomes are equal), because the clustering
        cannot be estimated then; 0 without trades.
    """
    days = open_us // DAY_US
    trading_days = len(np.unique(days))
    if trading_days < MIN_DAYS or not np.ptp(outcomes) > 0.0:
        return float(trading_days)
    n = len(outcomes)
    days = days - days.min()
    centred = outcomes - outcomes.mean()
    variance = float(centred @ centred) / (n - 1)
    sums = np.bincount(days, weights=centred)
    long_run = float(sums @ sums)
    for lag in range(1, min(horizon_days, len(sums) - 1) + 1):
        # Bartlett's weights guarantee an estimate of at least 0.
        weight = 1.0 - lag / (horizon_days + 1.0)
        long_run += 2.0 * weight * float(sums[lag:] @ sums[:-lag])
    return float(np.clip(variance * n * n / long_run, 1.0, n)) if long_run > 0.0 else float(n)


def pooling_strength(groups: Sequence[tuple[GridSums, float, str]]) -> float:
    """Estimate k, the effective observations at which a group has the same weight as its parent, by the method of moments.

    Parameters
    ----------
    groups : sequence of (sums, n_eff, parent)
        All groups of one level; `parent` is the name of the group they are pooled to.

    Returns
    -------
    float
        Above 0; infinite if the groups do not differ by more than chance, or fewer than three have usable data.

    Notes
    -----
    DerSimonian and Laird's estimate of the variance between siblings, averaged over all cells of the grid: one k per level.
    """
    used = [(sums, n_eff, parent) for sums, n_eff, parent in groups if sums.n >= 2 and n_eff > 0.0]
    if len(used) < 3:
        return math.inf
    degrees = sum(sums.n - 1 for sums, _, _ in used)
    within = np.sum([sums.variance * (sums.n - 1) for sums, _, _ in used], axis=0) / degrees
    excess, scale = np.zeros_like(within), 0.0
    for parent in sorted({parent for _, _, parent in used}):
        weights = np.array([n_eff for _, n_eff, name in used if name == parent])
        if len(weights) < 2:
            continue
        means = np.stack([sums.mean for sums, _, name in used if name == parent])
        centre = np.tensordot(weights, means, axes=1) / weights.sum()
        excess += np.tensordot(weights, (means - centre) ** 2, axes=1) - (len(weights) - 1) * within
        scale += float(weights.sum() - (weights @ weights) / weights.sum())
    between = float(excess.mean()) / scale if scale > 0.0 else 0.0
    return float(within.mean()) / between if between > 0.0 else math.inf


def own_weight(n_eff: float, k: float) -> float:
    """Return the weight of a group's own data, 0 to 1: n / (n + k)."""
    return n_eff / (n_eff + k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Posterior of an expectancy: mean and standard deviation, ratio of the price."""

    mean: float
    deviation: float

    @property
    def lower(self) -> float:
        """Return the lower end of the 90 % interval."""
        return self.mean - INTERVAL_Z * self.deviation

    @property
    def upper(self) -> float:
        """Return the upper end of the 90 % interval."""
        return self.mean + INTERVAL_Z * self.deviation

    @property
    def confidence(self) -> float:
        """Return the probability that the expectancy is above 0."""
        if self.deviation <= 0.0:
            return float(self.mean > 0.0)
        return 0.5 * math.erfc(-self.mean / self.deviation / math.sqrt(2.0))


def pooled(*, weight: float, mean: float, variance: float, n_eff: float, parent: Posterior, k: float) -> Posterior:
    """Combine a group's own mean and its parent's posterior by weight.

    `variance` is the variance of one outcome; the variance between siblings is variance / k.
    """
    centre = weight * mean + (1.0 - weight) * parent.mean
    own = weight**2 * variance / n_eff if n_eff > 0.0 else 0.0
    return Posterior(mean=centre, deviation=math.sqrt(own + (1.0 - weight) ** 2 * (variance / k + parent.deviation**2)))
