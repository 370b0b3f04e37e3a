"""Count the closes that are missing in the evidence: trades left out of learning, or closed too late to be counted.

The bound on wrongly opened pairs is valid if every trade that entered on a counted day is counted, whatever its outcome
(`promotion.accounts`, condition 3). Trades that a person exits by hand, and trades that close after their day was counted, are missing.
They are seldom winners, so evidence without them overstates the performance. If too many closes are missing, the pair and direction may
not trade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.market.instants import DAY_US

LONGEST_WAIT_US = 14 * DAY_US
"""Limit of the time that reviews wait for closes: trades that are open for longer are late."""


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


def longest_wait_us(open_us: NDArray[np.int64], close_us: NDArray[np.int64]) -> int:
    """Return how long a review must wait for the closes of a day's last entries: the longest time that a trade was open, limited.

    The limit is `LONGEST_WAIT_US`; 0 without trades.
    """
    return int(min((close_us - open_us).max(initial=0), LONGEST_WAIT_US))


def is_late(open_us: NDArray[np.int64], close_us: NDArray[np.int64], *, source: NDArray[np.int64], due_after_us: int) -> NDArray[np.bool_]:
    """Return which trades closed after a review could count the day of their entry.

    A review counts a UTC day once `due_after_us` has passed since its end, and also the longest time that an earlier closed trade of the
    same source was open (at most `LONGEST_WAIT_US`): trades are known only once they are closed.
    """
    held = close_us - open_us
    order = np.lexsort((close_us, source))
    before = np.zeros(len(held), dtype=np.int64)
    for own in np.split(order, np.flatnonzero(np.diff(source[order])) + 1):
        earlier = np.searchsorted(close_us[own], close_us[own], side="left")
        before[own] = np.concatenate(([0], np.maximum.accumulate(held[own])))[earlier]
    wait = np.maximum(np.minimum(before, LONGEST_WAIT_US), due_after_us)
    late: NDArray[np.bool_] = close_us > (open_us // DAY_US + 1) * DAY_US + wait
    return late
