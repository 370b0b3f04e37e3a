"""The data that groups are estimated from: counts and sums of net moves by group and period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Sums of net moves by group and period.

    Parameters
    ----------
    n : array of shape (groups, periods)
        Number of replayed trades.
    totals : array of shape (groups, periods, stops, targets)
        Sums of their net moves. Periods are blocks of days (a month), long enough that few trades overlap two of them. The uncertainty of
        a mean is estimated from their scatter, so correlated trades of one day do not count as independent.
    pair, direction, leverage_bin : int arrays of shape (groups,)
        Labels from 0; -1 means any (see `surfaces.labels_of`). Direction is 0 or 1.
    horizon : int array of shape (groups,)
        Label of the horizon, from 0; None: all groups have the same one.
    """

    n: NDArray[np.float64]
    totals: NDArray[np.float64]
    pair: NDArray[np.int64]
    direction: NDArray[np.int64]
    leverage_bin: NDArray[np.int64]
    horizon: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.totals.shape[:2] != self.n.shape or len(self.pair) != len(self.n):
            raise LearningError("evidence is invalid: it needs one count for each group and period, and labels for each group")


def group_means(evidence: Evidence, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute effective counts of shape (groups,) and means of shape (groups, cells) under weights of the periods."""
    n = evidence.n @ weights
    totals = np.tensordot(weights, evidence.totals.reshape(*evidence.n.shape, -1), axes=(0, 1))
    return quotient(n**2, evidence.n @ weights**2), quotient(totals, n[:, None])


def quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return above / below, broadcast; 0 where below is 0."""
    result = np.zeros(np.broadcast_shapes(above.shape, below.shape))
    np.divide(above, below, out=result, where=below > 0.0)
    return result
