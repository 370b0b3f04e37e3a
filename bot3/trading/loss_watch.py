"""Check the limits on losses at every candle's close, in the daemon and in a backtest alike.

At each close the equity updates the levels from which losses are measured (`risk.next_marks`) and is compared with the limits
(`risk.breached`). The daemon does that for the equity that its exchange reports, a backtest for a series of closes at once.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from bot3.market.instants import DAY_US
from bot3.trading.open_profit import OpenProfits
from bot3.trading.risk import DRAWDOWN, NO_BREACH, Breach, EquityMarks, RiskLimits, breached, next_marks

_next_marks = numba.njit(cache=True)(next_marks)
_breached = numba.njit(cache=True)(breached)


def closes_to_judge(*, after_us: int | None, until_us: int, candle_us: int) -> range:
    """Return the candle closes (microseconds since 1970) at which the limits must still be checked, oldest first.

    Parameters
    ----------
    after_us : int or None
        Last close that was checked; None before the first check, when only the newest close is returned.
    until_us : int
        Current time; a close at this time is included.
    """
    newest = until_us // candle_us * candle_us
    return range(newest if after_us is None else (after_us // candle_us + 1) * candle_us, newest + 1, candle_us)


class LossWatch:
    """The levels from which a backtest's losses are measured, and the limit that stops its entries.

    A broken limit stops entries until the next UTC day. After a day with a drawdown the levels are reset, as if a person had resumed the
    bot; otherwise the same loss would stop entries forever.

    Parameters
    ----------
    judged_us : int
        Newest close that was checked, microseconds since 1970, or any instant after which the closes are to be checked.
    """

    def __init__(
        self, limits: RiskLimits, *, marks: EquityMarks | None, latch: Breach | None, latched_until_us: int, judged_us: int
    ) -> None:
        self._limits = np.array(limits.of_losses)
        day, day_start_abs, peak_abs = (0, 0.0, 0.0) if marks is None else marks.row
        self._state = np.array([day, day_start_abs, peak_abs, _LATCHES.index(latch), latched_until_us, 0, 0], dtype=np.float64)
        self.judged_us = judged_us

    @property
    def marks(self) -> EquityMarks | None:
        """Return the equity levels that losses are measured from; None before the first equity above 0."""
        day, day_start_abs, peak_abs = self._state[:3].tolist()
        return None if peak_abs == 0.0 else EquityMarks.of_row(int(day), day_start_abs, peak_abs)

    @property
    def latch(self) -> Breach | None:
        """Return the limit that stops entries as of the newest checked close; None if entries are allowed."""
        return _LATCHES[int(self._state[_LATCH])]

    @property
    def latched_until_us(self) -> int:
        """Return the time from which entries are allowed again, microseconds since 1970; in the past or 0 if they are allowed."""
        return int(self._state[_UNTIL])

    @property
    def halts(self) -> dict[Breach, int]:
        """Return how often each limit stopped entries since this object was created, 0 included."""
        return {breach: int(self._state[_HALTS + number]) for number, breach in enumerate(_LATCHES[1:])}

    def judge(self, profits: OpenProfits, *, wallet_abs: float, until_us: int) -> None:
        """Check the limits at all unchecked closes up to an instant (included); `wallet_abs` is the wallet at all of these closes."""
        due = closes_to_judge(after_us=self.judged_us, until_us=until_us, candle_us=profits.candle_us)
        if not due:
            return
        _judge_closes(profits.profit, wallet_abs, due.start, len(due), (profits.first_us, profits.candle_us), self._state, self._limits)
        self.judged_us = due[-1]


_LATCHES: Final = (None, Breach.DAILY_LOSS, Breach.DRAWDOWN)
_UNLATCHED, _BY_DAILY_LOSS, _BY_DRAWDOWN = range(3)
_DAY, _DAY_START, _PEAK, _LATCH, _UNTIL, _HALTS = range(6)


# Without cache: Numba invalidates its cache by the age of this file only, so a cached kernel would ignore changes in `risk.py`.
@numba.njit
def _judge_closes(  # noqa: PLR0917  # numba supports no keyword-only arguments
    profit: Any, wallet_abs: float, first_us: int, count: int, grid: Any, state: Any, limits: Any
) -> None:
    """Apply the rule for one close to `count` closes from `first_us` on; update `state` in place.

    `profit` starts at the close `grid[0]`. `state` has the fields day, day start, peak, latch, latched until, and two counts of halts.
    """
    grid_us, candle_us = grid
    start = (first_us - grid_us) // candle_us
    for number in range(count):
        at_us, equity = first_us + number * candle_us, wallet_abs + profit[start + number]
        day = at_us // DAY_US
        # The stop of entries is over. After a drawdown, a peak of 0 makes `next_marks` start with new levels.
        if at_us >= state[_UNTIL]:
            if state[_LATCH] == _BY_DRAWDOWN:
                state[_PEAK] = 0.0
            state[_LATCH] = _UNLATCHED
        state[_DAY], state[_DAY_START], state[_PEAK] = _next_marks(state[_DAY], state[_DAY_START], state[_PEAK], equity, day)
        breach, _ = _breached(state[_DAY_START], state[_PEAK], equity, (limits[0], limits[1], limits[2]))
        latch = _UNLATCHED if breach == NO_BREACH else _BY_DRAWDOWN if breach == DRAWDOWN else _BY_DAILY_LOSS
        # Stop entries until the next UTC day, and count that. A drawdown replaces a daily loss, not the reverse.
        if latch > state[_LATCH]:
            state[_LATCH], state[_UNTIL] = latch, (day + 1) * DAY_US
            state[_HALTS + latch - 1] += 1
