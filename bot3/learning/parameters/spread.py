"""Spread of trade outcomes under every stop and target: their variance in a group, pooled over all groups in units of the volatility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SPREAD_STRENGTH = 20.0
"""Number of trades at which a group's own variance has the same weight as that of all trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMoments:
    """Sums of the net moves of some cells (pair, direction and bin) over all their replays.

    Parameters
    ----------
    n : array of shape (cells,)
        Number of replays.
    totals, squares : arrays of shape (cells, stops, targets)
        Sums of their net moves, and of the squared net moves.
    sigma : array of shape (cells,)
        Their mean volatility at entry; NaN without replays.
    """

    n: NDArray[np.float64]
    totals: NDArray[np.float64]
    squares: NDArray[np.float64]
    sigma: NDArray[np.float64]

    @property
    def units(self) -> NDArray[np.float64]:
        """Return the variance of a net move in units of the squared volatility, of shape (cells, stops, targets); 0 without replays."""
        n = np.maximum(self.n, 1.0)[:, None, None]
        variance = np.maximum(self.squares / n - (self.totals / n) ** 2, 0.0)
        units: NDArray[np.float64] = variance / np.where(self.n > 0.0, self.sigma, 1.0)[:, None, None] ** 2
        return units


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Variance of a net move over all trades: `units` of shape (stops, targets), in units of the squared volatility; `sigma` their mean."""

    units: NDArray[np.float64]
    sigma: float

    @classmethod
    def of(cls, cells: CellMoments, *, sigma: float) -> Self:
        """Compute the spread of all trades.

        Without trades every variance is 1, and the volatility is `sigma`; this assumption has the weight of `SPREAD_STRENGTH` trades.
        """
        total = float(cells.n.sum())
        units = (np.tensordot(cells.n, cells.units, axes=1) + SPREAD_STRENGTH) / (total + SPREAD_STRENGTH)
        seen = cells.n > 0.0
        return cls(units=units, sigma=float(cells.n[seen] @ cells.sigma[seen]) / total if total > 0.0 else sigma)

    def variances(self, cells: CellMoments) -> NDArray[np.float64]:
        """Return the variance of a net move in each cell, of shape (cells, stops, targets), pooled with that of all trades by weight."""
        own = (cells.n / (cells.n + SPREAD_STRENGTH))[:, None, None]
        sigma = self.sigmas(cells)[:, None, None]
        variances: NDArray[np.float64] = (own * cells.units + (1.0 - own) * self.units) * sigma**2
        return variances

    def sigmas(self, cells: CellMoments) -> NDArray[np.float64]:
        """Return the mean volatility of each cell; that of all trades for a cell without replays."""
        return np.where(cells.n > 0.0, cells.sigma, self.sigma)
