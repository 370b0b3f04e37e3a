"""Compute a bot's trading state: the strictest of its latched state, the file HALT, its lease and the daily loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import structlog

from bot3.errors import StoreBusyError, StoreError
from bot3.ports.latches import LatchStore
from bot3.trading.risk import EquityMarks, RiskLatch, TradingState, is_stricter, judge_risk, mark_equity, strictest
from execution.bot import Bot

_REJECTS, _REJECT_WINDOW = 5, timedelta(minutes=10)
_JOURNAL, _FLAG, _CONTROL = "journal", "flag", "control"

log = structlog.get_logger()


class BotState:
    """The trading state of one bot. A latched state survives restarts; only commands of a person make it less strict.

    The latched state, and the equities that losses are measured from (marks), are stored in the bot's own database and in a flag file; the
    control store contains a copy of the state for other processes. A lost copy is written again from the others; if they differ, the
    strictest is in force. The state REDUCING because of a daily loss is not latched and ends with the UTC day, as in a backtest.

    Parameters
    ----------
    marks : EquityMarks or None
        The equities before a restart, from the heartbeat; used only if the bot's database contains none and its flag file is missing or
        invalid, as in a home of an earlier release.
    """

    def __init__(self, bot: Bot, *, marks: EquityMarks | None = None) -> None:
        self._bot = bot
        self._rejects: deque[datetime] = deque()
        self._latch, self._unsaved = _kept_latch(bot, marks=marks)
        self._save_error = ""
        self.equity_abs: float | None = None
        self.state, self.reason = TradingState.REDUCING, "not checked yet"

    @property
    def marks(self) -> EquityMarks | None:
        """Return the equities that losses are measured from; None before the bot's first check, and from a `resume` to the next check."""
        return self._latch.marks

    def refresh(self, now: datetime) -> None:
        """Save what is not saved yet, and set `state` and `reason` to the strictest of latched state, daily loss, file HALT and lease.

        While the state in the control store cannot be read, the state is at least REDUCING.

        Raises
        ------
        AlreadyRunningError
            If another process now owns the lease of this bot.
        """
        before = (self.state, self.reason)
        self._save()
        self.state, self.reason = strictest([self._of_control(), self._of_day(now), self._of_flag(), self._of_lease()])
        if (self.state, self.reason) != before:
            log.info("trading_state_changed", bot=self._bot.name, state=self.state.value, reason=self.reason)

    def latch(self, state: TradingState, reason: str) -> None:
        """Latch a state, unless the latched one is at least as strict; it is in force at once, even if no store can be written."""
        if not is_stricter(state, self._latch.state):
            return
        log.error("trading_state_latched", bot=self._bot.name, state=state.value, reason=reason)
        self._change(replace(self._latch, state=state, reason=reason))
        self.refresh(self._bot.shared.clock.now())

    def command(self, state: TradingState, reason: str) -> None:
        """Latch the state that a command requests; ACTIVE also resets the equity marks, the count of rejected orders and the daily loss.

        Raises
        ------
        StoreError
            If the new state is not stricter than the latched one and a store could not be written: the old one then stays in force.
        """
        before = self._latch
        is_new = state is TradingState.ACTIVE
        self._change(RiskLatch() if is_new else replace(before, state=state, reason=reason))
        if not is_stricter(state, before.state):
            try:
                self._save_all()
            except StoreError:
                self._change(before)
                raise
        if is_new:
            self._rejects.clear()
        self.refresh(self._bot.shared.clock.now())

    def rejected(self, *, wall: datetime) -> None:
        """Count an order that the exchange rejected; the fifth within ten minutes of wall time latches HALTED."""
        self._rejects.append(wall)
        while wall - self._rejects[0] > _REJECT_WINDOW:
            self._rejects.popleft()
        if len(self._rejects) >= _REJECTS:
            minutes = int(_REJECT_WINDOW.total_seconds() // 60)
            self.latch(TradingState.HALTED, f"{len(self._rejects)} orders were rejected in {minutes} minutes: see the intents' reasons")

    def look(self, *, equity_abs: float, now: datetime) -> EquityMarks:
        """Update the equity marks with the wallet's equity and check the loss limits; return the updated marks.

        A drawdown, or a daily loss beyond the second limit, latches HALTED; a smaller daily loss means REDUCING until the next UTC day.
        """
        self.equity_abs = equity_abs
        marks = mark_equity(self.marks, equity_abs=equity_abs, now=now)
        if marks != self.marks:
            self._change(replace(self._latch, marks=marks), is_state=False)
        verdict = judge_risk(marks, equity_abs=equity_abs, limits=self._bot.profile.limits)
        if verdict.breach is None:
            self._save()
            return marks
        reason = f"{verdict.breach.value} {verdict.loss_ratio:.2%} exceeds the limit {verdict.limit:.2%}"
        until = self._latch.reducing_until
        if verdict.state is TradingState.HALTED:
            self.latch(TradingState.HALTED, reason)
        elif until is None or until <= now:
            until = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=UTC)
            self._change(replace(self._latch, reducing_until=until), is_state=False)
            log.warning("entries_stopped_for_the_day", bot=self._bot.name, reason=reason, until=until.isoformat())
            self.refresh(now)
        self._save()
        return marks

    def _change(self, latch: RiskLatch, *, is_state: bool = True) -> None:
        """Set the latch in memory and note the stores to write it to: all three, or without the control store if only marks changed."""
        self._latch = latch
        self._unsaved |= {_JOURNAL, _FLAG, _CONTROL} if is_state else {_JOURNAL, _FLAG}

    def _save(self) -> None:
        """Write the latch to every store that has not saved it yet; a failed write is retried at the next refresh."""
        try:
            self._save_all()
        except StoreError as error:
            if str(error) != self._save_error:
                log.error("latch_not_saved", bot=self._bot.name, state=self._latch.state.value, error=str(error))  # noqa: TRY400
            self._save_error = str(error)

    def _save_all(self) -> None:
        """Write the latch to every store that has not saved it yet. Raises StoreError for the last store that could not be written."""
        clock, latch, failed = self._bot.shared.clock, self._latch, None
        steps: dict[str, Callable[[], None]] = {
            _FLAG: lambda: self._bot.flag.save_latch(latch),
            _JOURNAL: lambda: self._bot.store.save_latch(latch),
            _CONTROL: lambda: self._bot.shared.control.set_trading_state(
                self._bot.name, latch.state, reason=latch.reason, at=clock.wall_now()
            ),
        }
        for name in sorted(self._unsaved, key=list(steps).index):
            try:
                steps[name]()
                self._unsaved.discard(name)
            except StoreError as error:
                failed = error
        if failed is not None:
            raise failed
        self._save_error = ""

    def _of_control(self) -> tuple[TradingState, str]:
        """Return the latched state after a comparison with the control store; at least REDUCING while that cannot be read.

        A stricter state in the control store is latched; any other difference there is overwritten.
        """
        latch = self._latch
        try:
            found, reason = self._bot.shared.control.trading_state(self._bot.name)
            if _CONTROL not in self._unsaved:
                if is_stricter(found, latch.state):
                    self._change(replace(latch, state=found, reason=reason))
                elif (found, reason) != (latch.state, latch.reason):
                    self._unsaved.add(_CONTROL)
                self._save()
        except StoreError as error:
            # Without the control store no command can be read: a person could not halt the bot.
            return strictest([(latch.state, latch.reason), (TradingState.REDUCING, f"the control store is unavailable: {error}")])
        return self._latch.state, self._latch.reason

    def _of_day(self, now: datetime) -> tuple[TradingState, str]:
        until = self._latch.reducing_until
        if until is None or now >= until:
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, f"daily_loss until {until.isoformat()}"

    def _of_lease(self) -> tuple[TradingState, str]:
        """Return REDUCING while the lease is lost: positions are still protected and exited, but another process might enter trades too."""
        lease = self._bot.lease
        if lease is None or lease.is_held():
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, "the lease on its database was lost: entries wait until the server is available"

    def _of_flag(self) -> tuple[TradingState, str]:
        flag = self._bot.shared.halt_file
        return (TradingState.HALTED, f"{flag.name} exists in the home: delete it to resume") if flag.exists() else (TradingState.ACTIVE, "")


def _kept_latch(bot: Bot, *, marks: EquityMarks | None) -> tuple[RiskLatch, set[str]]:
    """Return the latch after a restart, from the database, the flag file and the control store, and which of them must be written.

    The strictest state is in force; an invalid copy counts as missing. Raises StoreBusyError if a store is unavailable.
    """
    journal, flag = _read(bot.store, bot=bot.name), _read(bot.flag, bot=bot.name)
    control = _read_control(bot)
    kept = [latch for latch in (journal, flag) if latch is not None]
    state, reason = strictest([(latch.state, latch.reason) for latch in kept] + [control])
    until = [latch.reducing_until for latch in kept if latch.reducing_until is not None]
    # The marks of the journal take precedence: they are in the same database as the trades that they are computed from. Without a flag file
    # the home may be of an earlier release, whose journal had no marks; after a `resume` command both stores contain None.
    counted = next((latch.marks for latch in kept if latch.marks is not None), marks if flag is None else None)
    found = RiskLatch(state=state, reason=reason, marks=counted, reducing_until=max(until, default=None))
    unsaved = {name for name, latch in ((_JOURNAL, journal), (_FLAG, flag)) if latch != found}
    if control != (state, reason):
        unsaved.add(_CONTROL)
    if kept and unsaved:
        log.warning("latch_restored", bot=bot.name, state=state.value, reason=reason, lost_in=sorted(unsaved))
    return found, unsaved


def _read_control(bot: Bot) -> tuple[TradingState, str]:
    try:
        return bot.shared.control.trading_state(bot.name)
    except StoreBusyError:
        raise
    except StoreError as error:
        log.error("latch_not_read", bot=bot.name, error=str(error))  # noqa: TRY400
        return TradingState.ACTIVE, ""


def _read(store: LatchStore, *, bot: str) -> RiskLatch | None:
    """Return the latch in a store; None if it has none or an invalid one (logged): the other stores may contain it."""
    try:
        return store.latch()
    except StoreBusyError:
        raise
    except StoreError as error:
        log.error("latch_not_read", bot=bot, error=str(error))  # noqa: TRY400
        return None
