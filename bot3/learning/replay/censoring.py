"""Count the closes that are missing in the evidence: trades left out of learning, or closed too late to be counted.

The bound on wrongly opened pairs is valid if every trade that entered on a counted day is counted, whatever its outcome
(`promotion.e_process`, condition 4). Trades that a person exits by hand, and trades that close after their day was counted, are missing.
They are seldom winners, so evidence without them overstates the performance. If too many closes are missing, the pair and direction may
not trade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.market.instants import DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCounts:
    """Number of closed trades of a group, and of those missing in the evidence; each trade counts once.

    Parameters
    ----------
    closed : int
        All closed trades.
    left_out : int
        Trades that are not learned from: exited by force, by hand or by liquidation, entered or exited in parts, with a leverage outside
        the bins, with rates that do not fit their candles, or without candles.
    late : int
        Of the others, trades that closed after the day of their entry could be counted by a review.
    """

    closed: int
    left_out: int
    late: int

    def __post_init__(self) -> None:
        if min(self.closed, self.left_out, self.late) < 0 or self.left_out + self.late > self.closed:
            raise LearningError(f"invalid counts: {self.left_out} closes left out and {self.late} late, of {self.closed} closes in all")

    def exceed(self, share: float) -> bool:
        """Return whether more than a share of the closes is missing; False without closes."""
        return self.left_out + self.late > share * self.closed


def is_late(open_us: NDArray[np.int64], close_us: NDArray[np.int64], *, due_after_us: int) -> NDArray[np.bool_]:
    """Return which trades closed after a review could count the day of their entry: `due_after_us` after the end of that UTC day."""
    late: NDArray[np.bool_] = close_us > (open_us // DAY_US + 1) * DAY_US + due_after_us
    return late
