"""Estimate of a group: the posterior expectancy of every stop and target of its cells, weighted by their numbers of trades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.pooling.empirical_bayes import Posterior
from bot3.learning.pooling.surfaces import Surfaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """Estimate of a group as the weighted mean of its cells' posterior surfaces (expectancy of every stop and target).

    Parameters
    ----------
    surfaces : Surfaces
        Posterior surfaces of the group's cells.
    weights : array of shape (cells,)
        Weight of each cell; the sum is 1.
    """

    surfaces: Surfaces
    weights: NDArray[np.float64]

    @property
    def surface(self) -> NDArray[np.float64]:
        """Return the posterior mean of every stop and target."""
        mean: NDArray[np.float64] = np.tensordot(self.weights, self.surfaces.mean, axes=1)
        return mean

    def posterior(self, cell: tuple[int, int]) -> Posterior:
        """Return the posterior of one stop and target, corrected for having been chosen as the best.

        The deviation is the mean of the cells' deviations, as if their errors were perfectly correlated: this is the maximum possible.
        """
        mean, deviation = self.surfaces.posteriors(self._everywhere(cell))
        return Posterior(mean=float(self.weights @ mean), deviation=float(self.weights @ deviation))

    def own_share(self, cell: tuple[int, int]) -> float:
        """Return the share of a setting's prior variance removed by the data, 0 to 1; for a single cell, the weight of its own data."""
        if len(self.weights) == 1:
            return float(np.clip(self.surfaces.own_share(0, cell), 0.0, 1.0))
        model = self.surfaces.model
        loads = model.basis.components[:, cell[0] * self.surfaces.mean.shape[2] + cell[1]] ** 2
        before = float(loads @ (model.variances.levels @ ~model.design.is_error + model.variances.own))
        now = float(self.weights @ (loads @ self.surfaces.pooled.variance))
        return float(np.clip(1.0 - now / max(before, 1e-300), 0.0, 1.0))

    def _everywhere(self, cell: tuple[int, int]) -> NDArray[np.int64]:
        return np.tile(np.array(cell, dtype=np.int64), (len(self.weights), 1))
