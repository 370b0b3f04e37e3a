"""What is believed of a group: the posterior surfaces of its cells, weighed by their trades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.pooling import Posterior
from bot3.learning.surfaces import Surfaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A mean of posterior surfaces.

    Parameters
    ----------
    surfaces : Surfaces
        Of the group's cells.
    weights : array of shape (cells,)
        Share of each cell, adding up to 1.
    """

    surfaces: Surfaces
    weights: NDArray[np.float64]

    @property
    def surface(self) -> NDArray[np.float64]:
        """Return the posterior mean of every stop and target."""
        mean: NDArray[np.float64] = np.tensordot(self.weights, self.surfaces.mean, axes=1)
        return mean

    def posterior(self, cell: tuple[int, int]) -> Posterior:
        """Return what is believed of one setting once it was chosen.

        The deviation is the mean of the cells': as if their errors were the same, which is the most that it can be.
        """
        mean, deviation = self.surfaces.told(self._everywhere(cell))
        return Posterior(mean=float(self.weights @ mean), deviation=float(self.weights @ deviation))

    def own_share(self, cell: tuple[int, int]) -> float:
        """Return how much of what could be known of a setting the trades told, 0 to 1: for one cell the weight of its own data."""
        if len(self.weights) == 1:
            return float(np.clip(self.surfaces.own_share(0, cell), 0.0, 1.0))
        model = self.surfaces.model
        loads = model.basis.components[:, cell[0] * self.surfaces.mean.shape[2] + cell[1]] ** 2
        before = float(loads @ (model.variances.levels @ ~model.design.is_error + model.variances.own))
        now = float(self.weights @ (loads @ self.surfaces.pooled.variance))
        return float(np.clip(1.0 - now / max(before, 1e-300), 0.0, 1.0))

    def _everywhere(self, cell: tuple[int, int]) -> NDArray[np.int64]:
        return np.tile(np.array(cell, dtype=np.int64), (len(self.weights), 1))
