"""When a bot's equity is marked and its limits on losses are judged: at every close of a candle, in the daemon and in a backtest alike.

The rule of one close is `risk.next_marks` and `risk.breached`; the daemon applies it to the equity that its exchange names, a backtest
to a run of closes at once.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from bot3.trading.open_profit import OpenProfits
from bot3.trading.risk import DRAWDOWN, NO_BREACH, Breach, EquityMarks, RiskLimits, breached, next_marks

_next_marks = numba.njit(cache=True)(next_marks)
_breached = numba.njit(cache=True)(breached)


def closes_to_judge(*, after_us: int | None, until_us: int, candle_us: int) -> range:
    """Return the closes, microseconds since 1970, at which the equity is marked and the limits are judged, oldest first.

    Parameters
    ----------
    after_us : int or None
        The last one that was; None for a start, which has the newest close alone.
    until_us : int
        The present.
    """
    newest = until_us // candle_us * candle_us
    return range(newest if after_us is None else (after_us // candle_us + 1) * candle_us, newest + 1, candle_us)


class LossWatch:
    """Marks and latch of a backtest.

    A breach stops entries until the next UTC day. Once the day of a drawdown is over its marks start anew, as if a person had resumed the
    bot: else the same loss would latch it for ever.

    Parameters
    ----------
    judged_us : int
        The newest close that was judged, microseconds since 1970, or an instant from which on closes are judged.
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
        """Return what losses are counted from; None before the first look at an equity above 0."""
        day, day_start_abs, peak_abs = self._state[:3].tolist()
        return None if peak_abs == 0.0 else EquityMarks.of_row(int(day), day_start_abs, peak_abs)

    @property
    def latch(self) -> Breach | None:
        """Return which limit stopped entries last."""
        return _LATCHES[int(self._state[_LATCH])]

    @property
    def latched_until_us(self) -> int:
        """Return when it lets entries in again."""
        return int(self._state[_UNTIL])

    @property
    def halts(self) -> dict[Breach, int]:
        """Return how often each limit stopped entries."""
        return {breach: int(self._state[_HALTS + number]) for number, breach in enumerate(_LATCHES[1:])}

    def judge(self, profits: OpenProfits, *, wallet_abs: float, until_us: int) -> None:
        """Mark the equity and judge the limits at the closes up to an instant that were not judged yet; the wallet is theirs."""
        due = closes_to_judge(after_us=self.judged_us, until_us=until_us, candle_us=profits.candle_us)
        if not due:
            return
        _judge_closes(profits.profit, wallet_abs, due.start, len(due), (profits.first_us, profits.candle_us), self._state, self._limits)
        self.judged_us = due[-1]


_LATCHES: Final = (None, Breach.DAILY_LOSS, Breach.DRAWDOWN)
_UNLATCHED, _BY_DAILY_LOSS, _BY_DRAWDOWN = range(3)
_DAY, _DAY_START, _PEAK, _LATCH, _UNTIL, _HALTS = range(6)
_DAY_US = 86_400_000_000


# Not cached: Numba looks at the age of this file only, so a cached kernel would keep the old rules when `risk.py` changes.
@numba.njit
def _judge_closes(  # noqa: PLR0917  # numba knows no keywords
    profit: Any, wallet_abs: float, first_us: int, count: int, grid: Any, state: Any, limits: Any
) -> None:
    """Apply the rule of one close to a run of closes; `state` is changed in place."""
    grid_us, candle_us = grid
    start = (first_us - grid_us) // candle_us
    for number in range(count):
        at_us, equity = first_us + number * candle_us, wallet_abs + profit[start + number]
        day = at_us // _DAY_US
        if at_us >= state[_UNTIL]:
            if state[_LATCH] == _BY_DRAWDOWN:
                state[_PEAK] = 0.0
            state[_LATCH] = _UNLATCHED
        state[_DAY], state[_DAY_START], state[_PEAK] = _next_marks(state[_DAY], state[_DAY_START], state[_PEAK], equity, day)
        breach, _ = _breached(state[_DAY_START], state[_PEAK], equity, (limits[0], limits[1], limits[2]))
        latch = _UNLATCHED if breach == NO_BREACH else _BY_DRAWDOWN if breach == DRAWDOWN else _BY_DAILY_LOSS
        if latch > state[_LATCH]:
            state[_LATCH], state[_UNTIL] = latch, (day + 1) * _DAY_US
            state[_HALTS + latch - 1] += 1
