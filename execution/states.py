"""What a bot may do now: the strictest of its latch, the flag file and the limits on losses."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, time, timedelta

import structlog

from bot3.errors import StoreError
from bot3.trading.risk import EquityMarks, TradingState, is_stricter, judge_risk, mark_equity, strictest
from execution.bot import Bot

_REJECTS, _REJECT_WINDOW = 5, timedelta(minutes=10)
LATCHED_UNTIL = "entries_latched_until"
"""Bookmark: the UTC day after the one on which a loss stopped entries."""

log = structlog.get_logger()


class BotState:
    """A bot's state. Latches survive restarts; only a person's `resume` loosens them.

    A loss of the day that only reduces is over with the day, as in a backtest.

    Parameters
    ----------
    marks : EquityMarks or None
        What losses were counted from before a restart; None counts from the first look.
    """

    def __init__(self, bot: Bot, *, marks: EquityMarks | None = None) -> None:
        self._bot = bot
        self._rejects: deque[datetime] = deque()
        self._latched: tuple[TradingState, str] = (TradingState.ACTIVE, "")
        self._unsaved: tuple[TradingState, str] | None = None
        self._day_latch = bot.store.bookmark(LATCHED_UNTIL)
        self.marks = marks
        self.equity_abs: float | None = None
        self.state, self.reason = TradingState.REDUCING, "not looked at yet"

    def refresh(self, now: datetime) -> None:
        """Look at the latch, the flag file, the day and the lease, and keep the strictest as `state` and `reason`.

        Raises
        ------
        AlreadyRunningError
            If another process trades this bot now.
        """
        before = (self.state, self.reason)
        self.state, self.reason = strictest([self._read_latch(), self._of_day(now), self._of_flag(), self._of_lease()])
        if (self.state, self.reason) != before:
            log.info("trading_state_changed", bot=self._bot.name, state=self.state.value, reason=self.reason)

    def latch(self, state: TradingState, reason: str) -> None:
        """Latch a state unless a stricter one is; it holds in this process even while the control store cannot be written."""
        if not all(is_stricter(state, other) for other, _ in filter(None, (self._latched, self._unsaved))):
            return
        log.error("trading_state_latched", bot=self._bot.name, state=state.value, reason=reason)
        self._unsaved = (state, reason)
        self.refresh(self._bot.shared.clock.now())

    def command(self, state: TradingState, reason: str) -> None:
        """Set the state that a person asked for; ACTIVE counts losses, rejects and the day anew."""
        clock = self._bot.shared.clock
        if state is TradingState.ACTIVE:
            # First what would latch again, so that a kill in between leaves the stricter state.
            self.marks, self._day_latch = None, None
            self._rejects.clear()
            self._bot.store.set_bookmark(LATCHED_UNTIL, clock.now())
        self._bot.shared.control.set_trading_state(self._bot.name, state, reason=reason, at=clock.wall_now())
        self._unsaved = None
        self.refresh(clock.now())

    def rejected(self, *, wall: datetime) -> None:
        """Count a definite refusal; a storm of them halts."""
        self._rejects.append(wall)
        while wall - self._rejects[0] > _REJECT_WINDOW:
            self._rejects.popleft()
        if len(self._rejects) >= _REJECTS:
            minutes = int(_REJECT_WINDOW.total_seconds() // 60)
            self.latch(TradingState.HALTED, f"{len(self._rejects)} orders were rejected within {minutes} minutes: see the intents' reasons")

    def look(self, *, equity_abs: float, now: datetime) -> EquityMarks:
        """Hold the equity against the limits on losses; return what they are counted from."""
        self.equity_abs = equity_abs
        self.marks = mark_equity(self.marks, equity_abs=equity_abs, now=now)
        verdict = judge_risk(self.marks, equity_abs=equity_abs, limits=self._bot.profile.limits)
        if verdict.breach is None:
            return self.marks
        reason = f"{verdict.breach.value} {verdict.loss_ratio:.2%} passed the limit {verdict.limit:.2%}"
        if verdict.state is TradingState.HALTED:
            self.latch(TradingState.HALTED, reason)
        elif self._day_latch is None or self._day_latch <= now:
            self._day_latch = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=UTC)
            self._bot.store.set_bookmark(LATCHED_UNTIL, self._day_latch)
            log.warning("entries_stopped_for_the_day", bot=self._bot.name, reason=reason, until=self._day_latch.isoformat())
            self.refresh(now)
        return self.marks

    def _read_latch(self) -> tuple[TradingState, str]:
        control = self._bot.shared.control
        try:
            if self._unsaved is not None:
                state, reason = self._unsaved
                control.set_trading_state(self._bot.name, state, reason=reason, at=self._bot.shared.clock.wall_now())
                self._unsaved = None
            self._latched = control.trading_state(self._bot.name)
        except StoreError as error:
            # Without the latch nobody knows whether entries are allowed.
            unread = (TradingState.REDUCING, f"the control store cannot be used: {error}")
            return strictest([self._unsaved or self._latched, unread])
        return self._latched

    def _of_day(self, now: datetime) -> tuple[TradingState, str]:
        if self._day_latch is None or now >= self._day_latch:
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, f"daily_loss until {self._day_latch.isoformat()}"

    def _of_lease(self) -> tuple[TradingState, str]:
        """Positions are protected and left without the lease; who holds it in the meantime would enter the same trades."""
        lease = self._bot.lease
        if lease is None or lease.is_held():
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, "the lease on its database was lost: entries wait until the server can be reached"

    def _of_flag(self) -> tuple[TradingState, str]:
        flag = self._bot.shared.halt_file
        return (TradingState.HALTED, f"{flag.name} exists in the home: remove it to go on") if flag.exists() else (TradingState.ACTIVE, "")
