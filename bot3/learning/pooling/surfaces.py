"""Posterior expectancy of every stop and target in every group, and the choice of the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bot3.learning.pooling.effects import Design, Effects, Pooled, Variances, pool, solve_effects
from bot3.learning.pooling.empirical_bayes import Posterior
from bot3.learning.pooling.evidence import Evidence, group_means
from bot3.learning.pooling.surface_basis import Basis

LEVEL_IS_ERROR = (False, False, False, False, False, False, True)
"""Whether each level of `labels_of` is a shared error (`Design.is_error`)."""
HORIZON_LEVEL = 5
"""Index of the horizon among the levels of `labels_of`."""
DIRECTIONS = 2
Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Converts posterior means of shape (groups, stops, targets) to the scores, of the same shape, by which settings are chosen."""


def by_mean(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the posterior means themselves: the best setting is that of the highest mean."""
    return mean


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingModel:
    """Pooling model that a full run fits and incremental runs reuse."""

    basis: Basis
    design: Design
    variances: Variances
    effects: Effects
    centre: NDArray[np.float64]
    """Surface to which all groups are pooled, of shape (cells,)."""
    weights: NDArray[np.float64]
    """Weight of each period, of shape (periods,)."""
    optimism: float
    """By how many deviations the mean of a chosen setting was too high on trades that were not used for the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """Posterior of every group: `mean` of shape (groups, stops, targets), and the inputs of its deviation."""

    mean: NDArray[np.float64]
    pooled: Pooled
    model: PoolingModel

    def posteriors(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return posterior mean and deviation of the setting (stop, target) chosen for each group; `cells` has the shape (groups, 2).

        The optimism due to the choice of the best setting is subtracted from the mean.
        """
        loads = self.model.basis.components[:, cells[:, 0] * self.mean.shape[2] + cells[:, 1]]
        deviation: NDArray[np.float64] = np.sqrt((loads**2 * self.pooled.variance).sum(axis=0))
        mean = self.mean[np.arange(len(cells)), cells[:, 0], cells[:, 1]]
        return mean - self.model.optimism * deviation, deviation

    def posterior(self, group: int, cell: tuple[int, int]) -> Posterior:
        """Return the posterior of the stop and target chosen for one group; the optimism due to the choice is subtracted from its mean."""
        deviation = float(np.sqrt(self._loads(cell) ** 2 @ self.pooled.variance[:, group]))
        return Posterior(mean=float(self.mean[group, cell[0], cell[1]]) - self.model.optimism * deviation, deviation=deviation)

    def own_share(self, group: int, cell: tuple[int, int]) -> float:
        """Return the weight, 0 to 1, of a group's own data in the posterior of one setting, relative to its shared effects."""
        loads = self._loads(cell) ** 2 * self.model.variances.own
        return float(loads @ self.pooled.own_weight[:, group] / max(float(loads.sum()), 1e-300))

    def best(self, score: Score = by_mean) -> NDArray[np.int64]:
        """Return stop and target with the highest score of each group, of shape (groups, 2); a score of -inf excludes a setting."""
        flat = score(self.mean).reshape(len(self.mean), -1).argmax(axis=1)
        return np.stack(np.unravel_index(flat, self.mean.shape[1:]), axis=1).astype(np.int64)

    def _loads(self, cell: tuple[int, int]) -> NDArray[np.float64]:
        loads: NDArray[np.float64] = self.model.basis.components[:, cell[0] * self.mean.shape[2] + cell[1]]
        return loads


def posterior_surfaces(evidence: Evidence, model: PoolingModel) -> Surfaces:
    """Compute the posterior of groups, each from its own data and the model's shared effects.

    `evidence` may contain all groups or only those touched by a new trade: the result for a group is the same.
    """
    n_eff, values = group_values(evidence, model, model.weights)
    labels = labels_of(evidence)
    pooled = pool(values, n_eff, labels=labels, design=model.design, variances=model.variances, effects=model.effects)
    mean = model.centre + pooled.mean.T @ model.basis.components
    return Surfaces(mean=mean.reshape(-1, *evidence.totals.shape[2:]), pooled=pooled, model=model)


def refreshed(evidence: Evidence, model: PoolingModel, *, weights: NDArray[np.float64]) -> PoolingModel:
    """Return the model with its shared effects refitted from all groups under other weights of periods, with unchanged variances."""
    n_eff, values = group_values(evidence, model, weights)
    effects = solve_effects(values, n_eff, labels=labels_of(evidence), design=model.design, variances=model.variances)
    return replace(model, weights=weights, effects=effects)


def labels_of(evidence: Evidence) -> NDArray[np.int64]:
    """Return the labels of groups by level: all, direction, pair, pair x direction, leverage bin, horizon, and the market of a direction.

    A label of -1 means any; a group with such a label and without trades has the posterior of a group that was never seen before.
    """
    both = np.where((evidence.pair >= 0) & (evidence.direction >= 0), evidence.pair * DIRECTIONS + evidence.direction, -1)
    every = np.zeros_like(both)
    horizon = every if evidence.horizon is None else evidence.horizon
    return np.stack([every, evidence.direction, evidence.pair, both, evidence.leverage_bin, horizon, evidence.direction])


def group_values(evidence: Evidence, model: PoolingModel, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute effective counts (groups,), and means minus the centre as components (components, groups), under weights of the periods."""
    n_eff, means = group_means(evidence, weights)
    return n_eff, model.basis.analysis @ (means - model.centre).T
