"""Score a choice against the truth: regret, optimism, and how often it was worse than the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bank import Bank
from benchmarks.planted_methods import METHODS, Choice, Sample, default, growth, take_sample, worst_of
from benchmarks.planted_world import CELLS, SIZES, make_world
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z

BPS = 1e4
_CELL = np.arange(CELLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one method at one heterogeneity, each of shape (worlds, sizes of a cell).

    Parameters
    ----------
    regret : array
        Expectancy lost against the best setting, bps of the price.
    optimism : array
        Reported expectancy minus the true one, bps of the price.
    worse : array
        Share of cells in which the default would have been better, 0 to 1.
    growth : array
        Expected growth of the wallet's logarithm lost against the setting with the highest one, 1e-4 a trade; sizes are those of the true
        expectancy and risk.
    covered : array
        Share of 90 % intervals that contain the true expectancy, 0 to 1; NaN for a method that reports no interval.
    """

    regret: NDArray[np.float64]
    optimism: NDArray[np.float64]
    worse: NDArray[np.float64]
    growth: NDArray[np.float64]
    covered: NDArray[np.float64]

    def by_size(self, what: str) -> dict[str, float]:
        """Return the mean over worlds of a score, named as its field, by size."""
        means = np.asarray(getattr(self, what)).mean(axis=0)
        return {str(size): round(float(mean), 3) for size, mean in zip(SIZES, means, strict=True)}

    def error_by_size(self, what: str) -> dict[str, float]:
        """Return the standard error of that mean, by size; NaN with a single world."""
        values = np.asarray(getattr(self, what))
        errors = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.full(len(SIZES), np.nan)
        return {str(size): round(float(error), 3) for size, error in zip(SIZES, errors, strict=True)}


def score_choice(sample: Sample, choice: Choice) -> NDArray[np.float64]:
    """Return the scores of a choice, in the order of `Scores`, of shape (5, sizes)."""
    utility = sample.world.utility
    got = utility[_CELL, choice.stop, choice.target]
    untouched = default(sample)
    without = utility[_CELL, untouched.stop, untouched.target]
    optimism = choice.reported - got
    deviation = np.full(CELLS, np.nan) if choice.deviation is None else choice.deviation
    covered = np.where(np.isnan(deviation), np.nan, np.abs(optimism) <= INTERVAL_Z * deviation)
    lost = utility.reshape(CELLS, -1).max(axis=1) - got
    grown = growth(utility, sample.world.deviation, worst_of(sample.grid, np.full(CELLS, sample.bank.sigma.mean())))
    missed = grown.reshape(CELLS, -1).max(axis=1) - grown[_CELL, choice.stop, choice.target]
    values = (BPS * lost, BPS * optimism, (got < without - 1e-9).astype(np.float64), BPS * missed, covered)
    return np.array([[value[sample.world.sizes == size].mean() for size in SIZES] for value in values])


def score_methods(
    bank: Bank,
    *,
    seeds: Sequence[int],
    heterogeneity: float,
    methods: Mapping[str, Callable[[Sample], Choice]] = METHODS,
    drift: float = 0.0,
) -> dict[str, Scores]:
    """Score methods, all on the same worlds (one for each seed); return the scores by name of the method."""
    rows: dict[str, list[NDArray[np.float64]]] = {name: [] for name in methods}
    for seed in seeds:
        sample = take_sample(bank, make_world(bank, seed=seed, heterogeneity=heterogeneity, drift=drift))
        for name, method in methods.items():
            rows[name].append(score_choice(sample, method(sample)))
    stacked = {name: np.stack(scores, axis=1) for name, scores in rows.items()}
    return {name: Scores(regret=of[0], optimism=of[1], worse=of[2], growth=of[3], covered=of[4]) for name, of in stacked.items()}
