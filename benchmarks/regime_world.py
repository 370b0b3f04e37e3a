"""Synthetic hourly markets whose regime is known in every hour, to judge regime detectors.

The worlds were fixed before any detector was tuned (`tests/benchmarks/test_regime_world.py` checks the digest). A world draws its own
volatility, drifts, mean durations and tails. Its regime is a Markov chain; inside a regime, an hourly return is the regime's drift plus
Student's t times the regime's volatility and a level of agitation (a second Markov chain of three levels that lasts for hours). The exact
forward filter with the true parameters is therefore a finite one, over twelve states: the ceiling for a detector without look-ahead. The
drift of a bull or bear market is small beside the volatility of an hour, so that it is recognised only over days.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.market.regimes import Regime

HOURS_A_YEAR = 8_760
TUNING_SEEDS, JUDGING_SEEDS = tuple(range(100, 116)), tuple(range(200, 224))
"""Seeds of the worlds on which detectors are tuned, and of those on which they are judged."""

_REGIMES = len(Regime)
_DAILY_DRIFT = (0.50, -0.60, 0.0, 0.0)
"""Drift of a day by regime, in units of the world's own daily volatility."""
_VOLATILITY = (1.0, 1.15, 0.68, 2.2)
_MEAN_DAYS = (16.0, 13.0, 18.0, 9.0)
_AGITATION = (0.75, 1.0, 1.55)
_AGITATION_HOURS = 10.0
_NEXT = ((0.0, 0.25, 0.45, 0.30), (0.25, 0.0, 0.40, 0.35), (0.40, 0.35, 0.0, 0.25), (0.30, 0.35, 0.35, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeWorld:
    """A market of two years and its truth; the second year is the one that is judged.

    Parameters
    ----------
    log_index : array of shape (2 * HOURS_A_YEAR,)
        Log of the index at the end of each hour.
    regime : array of the same shape
        Index of each hour's true regime in `Regime`.
    filtered : array of shape (2 * HOURS_A_YEAR, 4)
        Probabilities of the regimes given the returns up to the hour, computed with the true parameters.
    """

    log_index: NDArray[np.float64]
    regime: NDArray[np.int64]
    filtered: NDArray[np.float64]


def make_regime_world(seed: int) -> RegimeWorld:
    """Make the world of a seed."""
    rng = np.random.default_rng([seed, 77])
    hourly = 0.006 * np.exp(rng.normal(0.0, 0.35))
    sigma = hourly * np.array(_VOLATILITY) * np.exp(rng.normal(0.0, 0.08, _REGIMES))
    drift = hourly * np.array(_DAILY_DRIFT) / np.sqrt(24.0) * np.exp(rng.normal(0.0, 0.15, _REGIMES))
    hours = 24.0 * np.array(_MEAN_DAYS) * np.exp(rng.normal(0.0, 0.2, _REGIMES))
    tail = float(rng.uniform(4.0, 12.0))
    amplitude = np.array(_AGITATION) ** rng.uniform(0.0, 1.2)
    switching = np.diag(1.0 - 1.0 / hours) + np.array(_NEXT) / hours[:, None]
    leaving = 1.0 / _AGITATION_HOURS
    agitating = np.full((3, 3), leaving / 2.0) + np.diag(np.full(3, 1.0 - 1.5 * leaving))
    n = 2 * HOURS_A_YEAR
    regime, level = _chain(switching, rng.random(n)), _chain(agitating, rng.random(n))
    noise = rng.standard_t(tail, n) / np.sqrt(tail / (tail - 2.0))
    returns = drift[regime] + sigma[regime] * amplitude[level] * noise
    scales = np.outer(sigma, amplitude).ravel()
    likelihood = _student(returns, means=np.repeat(drift, 3), scales=scales, tail=tail)
    filtered = _forward(np.kron(switching, agitating), likelihood).reshape(n, _REGIMES, 3).sum(axis=2)
    return RegimeWorld(log_index=np.cumsum(returns), regime=regime, filtered=filtered)


def worlds_digest(seeds: Sequence[int]) -> str:
    """Return a digest of the worlds, which changes if a return (to 8 digits) or a regime of one changes."""
    digest = hashlib.blake2s(digest_size=12)
    for seed in seeds:
        world = make_regime_world(seed)
        digest.update(np.round(world.log_index, 8).tobytes() + world.regime.tobytes())
    return digest.hexdigest()


def _student(returns: NDArray[np.float64], *, means: NDArray[np.float64], scales: NDArray[np.float64], tail: float) -> NDArray[np.float64]:
    """Return the density of each return in each state; shape (n, states). `scales` are standard deviations."""
    unit = scales * np.sqrt((tail - 2.0) / tail)
    z = (returns[:, None] - means) / unit
    constant = lgamma((tail + 1.0) / 2.0) - lgamma(tail / 2.0) - 0.5 * np.log(tail * np.pi)
    density: NDArray[np.float64] = np.exp(constant - 0.5 * (tail + 1.0) * np.log1p(z**2 / tail)) / unit
    return density


@numba.njit(cache=True)
def _chain(switching: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a path of a Markov chain from state 0, one step per uniform draw."""
    path = np.empty(len(draws), dtype=np.int64)
    state = 0
    for i in range(len(draws)):
        left, following = draws[i], len(switching) - 1
        for j in range(len(switching)):
            left -= switching[state, j]
            if left < 0.0:
                following = j
                break
        state = following
        path[i] = state
    return path


@numba.njit(cache=True)
def _forward(switching: NDArray[np.float64], likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the filtered probabilities of the states in each row; the chain starts in any state with the same probability."""
    filtered = np.empty_like(likelihood)
    states = likelihood.shape[1]
    current = np.full(states, 1.0 / states)
    for i in range(len(likelihood)):
        current = (current @ switching) * likelihood[i]
        current /= current.sum()
        filtered[i] = current
    return filtered
