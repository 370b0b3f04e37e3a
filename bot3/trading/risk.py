"""Risk limits of a whole bot: daily loss, drawdown, series of stops, pause after a close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from bot3.errors import InvalidTradeError


class TradingState(StrEnum):
    """What a bot may do. ACTIVE: everything. REDUCING: no entries. HALTED: no entries and no exits by giveback or time.

    In every state it places the stops and targets of its open positions, and closes a position whose stop cannot be placed.
    """

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Breach(StrEnum):
    """Limit of the whole bot that is broken."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"


NO_BREACH, DAILY_LOSS_REDUCING, DAILY_LOSS_HALTED, DRAWDOWN = range(4)
"""Codes returned by `breached`."""

_BREACHES = {
    NO_BREACH: (TradingState.ACTIVE, None),
    DAILY_LOSS_REDUCING: (TradingState.REDUCING, Breach.DAILY_LOSS),
    DAILY_LOSS_HALTED: (TradingState.HALTED, Breach.DAILY_LOSS),
    DRAWDOWN: (TradingState.HALTED, Breach.DRAWDOWN),
}
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Risk limits of one bot; ratios are of equity, a loss is below 0.

    Parameters
    ----------
    daily_loss_reducing, daily_loss_halted : float
        Loss since the start of the UTC day at which the bot may only reduce positions, and at which it is halted.
    max_drawdown : float
        Loss since the peak at which the bot is halted.
    stop_streak, stop_streak_window, stop_streak_pause : int, timedelta, timedelta
        This number of stops within the window pauses entries for the pause, counted from the newest stop; a streak of 0 disables it.
    cool_off : timedelta
        Minimum time between the close of a trade on a pair and the next entry on it.
    max_candle_age : timedelta
        Maximum age of candles and signals for an entry.
    price_collar : float
        Maximum distance of an entry's rate from the mark, as a ratio of the mark.
    """

    daily_loss_reducing: float
    daily_loss_halted: float
    max_drawdown: float
    stop_streak: int
    stop_streak_window: timedelta
    stop_streak_pause: timedelta
    cool_off: timedelta
    max_candle_age: timedelta
    price_collar: float

    def __post_init__(self) -> None:
        if not -1.0 < self.daily_loss_halted <= self.daily_loss_reducing < 0.0:
            raise InvalidTradeError(f"daily losses must be between -1 and 0, with halting at or below reducing, were {self}")
        if not -1.0 < self.max_drawdown < 0.0:
            raise InvalidTradeError(f"max_drawdown must lie between -1 and 0, was {self.max_drawdown}")
        if self.stop_streak < 0 or min(self.cool_off, self.stop_streak_window, self.stop_streak_pause) < timedelta(0):
            raise InvalidTradeError(f"stop_streak, its times and cool_off must not be below 0, were {self}")
        if not self.price_collar > 0.0 or not self.max_candle_age > timedelta(0):
            raise InvalidTradeError(f"price_collar and max_candle_age must be above 0, were {self}")

    @property
    def of_losses(self) -> tuple[float, float, float]:
        """Return the limits on losses in the format of `breached`: daily loss (reducing, halted) and drawdown."""
        return self.daily_loss_reducing, self.daily_loss_halted, self.max_drawdown


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarks:
    """Equity levels that losses are measured from: the first observed equity of the UTC day, and the peak."""

    day: date
    day_start_abs: float
    peak_abs: float

    @classmethod
    def of_row(cls, day: int, day_start_abs: float, peak_abs: float) -> Self:
        """Build the marks from days since 1970 and two equities."""
        return cls(day=_FIRST_DAY + timedelta(days=day), day_start_abs=day_start_abs, peak_abs=peak_abs)

    @property
    def row(self) -> tuple[int, float, float]:
        """Return the day in days since 1970, and the two equities."""
        return (self.day - _FIRST_DAY).days, self.day_start_abs, self.peak_abs


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLatch:
    """A bot's stored trading state, set by losses or by a person; it remains over restarts and the loss of any one store.

    Parameters
    ----------
    state, reason : TradingState, str
        Stored state and its reason; only a person's command makes the state less strict.
    marks : EquityMarks or None
        Equity levels that losses are measured from; None before the first observation, and after a person's `resume`.
    reducing_until : datetime or None
        Market time until which a daily loss only allows reducing.
    """

    state: TradingState = TradingState.ACTIVE
    reason: str = ""
    marks: EquityMarks | None = None
    reducing_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskVerdict:
    """Trading state that the limits on losses allow; `breach` is None if no limit is broken. `loss_ratio` was compared with `limit`."""

    state: TradingState
    breach: Breach | None
    loss_ratio: float
    limit: float


def is_stricter(state: TradingState, other: TradingState) -> bool:
    """Return whether a state allows less than another."""
    return _STRICTNESS[state] > _STRICTNESS[other]


def strictest(found: Sequence[tuple[TradingState, str]]) -> tuple[TradingState, str]:
    """Return the strictest state with its reason; the first one if several are equally strict."""
    return max(found, key=lambda one: _STRICTNESS[one[0]])


def mark_equity(marks: EquityMarks | None, *, equity_abs: float, now: datetime) -> EquityMarks:
    """Return the levels from which losses are measured, updated with an observed equity; with None they start with that equity."""
    before = (0, 0.0, 0.0) if marks is None else marks.row
    return EquityMarks.of_row(*next_marks(*before, equity_abs, (now.date() - _FIRST_DAY).days))


def judge_risk(marks: EquityMarks, *, equity_abs: float, limits: RiskLimits) -> RiskVerdict:
    """Compare an equity with the limits on losses; the strictest broken limit determines the state.

    Raises
    ------
    InvalidTradeError
        If the equity is above 0 but the marks are not, so that no loss can be measured.
    """
    if equity_abs > 0.0 and not min(marks.day_start_abs, marks.peak_abs) > 0.0:
        raise InvalidTradeError(
            f"losses cannot be measured from an equity of {min(marks.day_start_abs, marks.peak_abs)}: it must be above 0"
        )
    found, loss_ratio = breached(marks.day_start_abs, marks.peak_abs, equity_abs, limits.of_losses)
    state, breach = _BREACHES[found]
    limit = limits.of_losses[{NO_BREACH: 0, DAILY_LOSS_REDUCING: 0, DAILY_LOSS_HALTED: 1, DRAWDOWN: 2}[found]]
    return RiskVerdict(state=state, breach=breach, loss_ratio=loss_ratio, limit=limit)


def next_marks(marked_day: int, day_start: float, peak: float, equity: float, day: int) -> tuple[int, float, float]:
    """Update marks with an observed equity; return (day, first equity of the day, peak). A peak of 0 means that there are no marks yet.

    An equity that is not above 0 changes nothing: no ratio of it could be computed.
    """
    if not equity > 0.0:
        return marked_day, day_start, peak
    if not peak > 0.0:
        return day, equity, equity
    return day, day_start if marked_day == day and day_start > 0.0 else equity, max(peak, equity)


def breached(day_start: float, peak: float, equity: float, limits: tuple[float, float, float]) -> tuple[int, float]:
    """Return the code of the strictest limit on losses (`RiskLimits.of_losses`) that an equity breaks, and the change compared with it.

    The change is a ratio, below 0 for a loss; if no limit is broken, it is that of the day.

    An equity that is not above 0 breaks the drawdown limit: it could not pay for an entry. The function is also compiled by numba.
    """
    if not equity > 0.0:
        return DRAWDOWN, -1.0
    daily_loss_reducing, daily_loss_halted, max_drawdown = limits
    drawdown, daily_loss = equity / peak - 1.0, equity / day_start - 1.0
    if drawdown <= max_drawdown:
        return DRAWDOWN, drawdown
    if daily_loss <= daily_loss_halted:
        return DAILY_LOSS_HALTED, daily_loss
    return (DAILY_LOSS_REDUCING, daily_loss) if daily_loss <= daily_loss_reducing else (NO_BREACH, daily_loss)


def stop_streak_until(stops: Sequence[datetime], *, now: datetime, limits: RiskLimits) -> datetime | None:
    """Return the end of the pause of entries after several stops in a short time; None if there is no pause now.

    `stops` are the close dates of the trades that ended at their stop, oldest first.
    """
    if limits.stop_streak == 0 or len(stops) < limits.stop_streak:
        return None
    newest = stops[-1]
    if newest - stops[-limits.stop_streak] > limits.stop_streak_window:
        return None
    until = newest + limits.stop_streak_pause
    return until if now < until else None
