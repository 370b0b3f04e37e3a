"""The grid of stops and targets on which every trade is replayed, and the sums of outcomes over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.learning.validity import STOP_SIGMAS, TARGET_SIGMAS


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitGrid:
    """Stops and targets as distances in units of the volatility at entry, above 0 and ascending; an infinite target means none."""

    stops: NDArray[np.float64]
    targets: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, levels in (("stops", self.stops), ("targets", self.targets)):
            if len(levels) == 0 or levels[0] <= 0.0 or bool((np.diff(levels) <= 0.0).any()):
                raise InvalidTradeError(f"{name} of a grid must be non-empty, above 0 and ascending, were {levels}")

    @property
    def shape(self) -> tuple[int, int]:
        """Return (stops, targets)."""
        return len(self.stops), len(self.targets)

    def nearest(self, *, stop: float, target: float) -> tuple[int, int]:
        """Return the indices of the levels nearest to a stop and a target distance (above 0) by ratio; of no target, the last one."""
        at_stop = int(np.argmin(np.abs(np.log(self.stops / stop))))
        if np.isinf(target):
            return at_stop, len(self.targets) - 1
        return at_stop, int(np.argmin(np.abs(np.log(self.targets / target))))


def default_grid() -> ExitGrid:
    """Return 32 stops from 0.1 to 4 sigma and 31 targets from 0.1 to 6 sigma, log-spaced, and no target (infinity) as the last one."""
    return ExitGrid(stops=np.geomspace(*STOP_SIGMAS, 32), targets=np.append(np.geomspace(*TARGET_SIGMAS, 31), np.inf))


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSums:
    """Sums of net outcomes (ratios of the price) over the trades of one group, for every stop and target.

    `n` is the number of trades; the arrays have the shape (stops, targets). `ambiguous` counts trades whose stop and target were touched
    inside one candle.
    """

    n: int
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    wins: NDArray[np.float64]
    gross_profit: NDArray[np.float64]
    gross_loss: NDArray[np.float64]
    ambiguous: NDArray[np.float64]

    def __add__(self, other: GridSums) -> GridSums:
        return GridSums(
            n=self.n + other.n,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            wins=self.wins + other.wins,
            gross_profit=self.gross_profit + other.gross_profit,
            gross_loss=self.gross_loss + other.gross_loss,
            ambiguous=self.ambiguous + other.ambiguous,
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """Return the mean outcome for every stop and target. Raises InvalidTradeError for a group without trades."""
        if self.n == 0:
            raise InvalidTradeError("a group without replayed trades has no mean outcome: check n first")
        return self.total / self.n

    @property
    def variance(self) -> NDArray[np.float64]:
        """Return the sample variance of an outcome for every stop and target; 0 for one trade. Raises InvalidTradeError without trades."""
        spread: NDArray[np.float64] = np.maximum(self.squares / self.n - self.mean**2, 0.0) * self.n / max(self.n - 1, 1)
        return spread
