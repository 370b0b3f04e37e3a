"""Which closes the evidence lacks: trades that were left out of learning, or that closed too late to be counted.

The bound on permissions holds if every trade that entered on a folded day is counted, whatever came of it (`gates`, condition 4). Trades
that a person ends by hand and trades that close after their day was folded are not counted, and those are seldom the winners: evidence
without them looks better than the trades were. Where too many are missing, the pair and direction may not trade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.pooling import DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCounts:
    """Closed trades of a group, and how many of them the evidence lacks; each trade counts once.

    Parameters
    ----------
    closed : int
        All of them.
    left_out : int
        Ended by force, by hand or by liquidation, entered or left in parts, or without candles: never an observation.
    late : int
        Of the others, those that closed after the day of their entry could be folded.
    """

    closed: int
    left_out: int
    late: int

    def __post_init__(self) -> None:
        if min(self.closed, self.left_out, self.late) < 0 or self.left_out + self.late > self.closed:
            raise LearningError(f"{self.left_out} closes left out and {self.late} late cannot be of {self.closed}")

    def exceed(self, share: float) -> bool:
        """Return whether more than a share of the closes is missing; never without a close."""
        return self.left_out + self.late > share * self.closed


def is_late(open_us: NDArray[np.int64], close_us: NDArray[np.int64], *, due_after_us: int) -> NDArray[np.bool_]:
    """Return which trades closed after the day of their entry could be folded: once the horizons of all its entries were over."""
    late: NDArray[np.bool_] = close_us > (open_us // DAY_US + 1) * DAY_US + due_after_us
    return late
