"""What a bot may do now: the strictest of its latch, the flag file and the limits on losses."""

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
    """A bot's state. Latches survive restarts; only a person's `resume` loosens them.

    The latch, and what losses are counted from, are kept in the bot's own store and in a flag file; the control store holds a copy of the
    state for other processes. Whichever of the three is lost is written again from the others, and where they differ the strictest is in
    force. A loss of the day that only reduces is over with the day, as in a backtest.

    Parameters
    ----------
    marks : EquityMarks or None
        What losses were counted from before a restart, for a home of an earlier release, whose stores keep none.
    """

    def __init__(self, bot: Bot, *, marks: EquityMarks | None = None) -> None:
        self._bot = bot
        self._rejects: deque[datetime] = deque()
        self._latch, self._unsaved = _kept_latch(bot, marks=marks)
        self._save_error = ""
        self.equity_abs: float | None = None
        self.state, self.reason = TradingState.REDUCING, "not looked at yet"

    @property
    def marks(self) -> EquityMarks | None:
        """Return what losses are counted from; None before the first look."""
        return self._latch.marks

    def refresh(self, now: datetime) -> None:
        """Look at the latch, the flag file, the day and the lease, and keep the strictest as `state` and `reason`.

        Raises
        ------
        AlreadyRunningError
            If another process trades this bot now.
        """
        before = (self.state, self.reason)
        self._save()
        self.state, self.reason = strictest([self._of_control(), self._of_day(now), self._of_flag(), self._of_lease()])
        if (self.state, self.reason) != before:
            log.info("trading_state_changed", bot=self._bot.name, state=self.state.value, reason=self.reason)

    def latch(self, state: TradingState, reason: str) -> None:
        """Latch a state unless a stricter one is; it is in force in this process even while no store can be written."""
        if not is_stricter(state, self._latch.state):
            return
        log.error("trading_state_latched", bot=self._bot.name, state=state.value, reason=reason)
        self._change(replace(self._latch, state=state, reason=reason))
        self.refresh(self._bot.shared.clock.now())

    def command(self, state: TradingState, reason: str) -> None:
        """Set the state that a person asked for; ACTIVE counts losses, rejects and the day anew.

        Raises
        ------
        StoreError
            If the state is looser than the one before, and not every store could be written: the stricter one stays in force.
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
        marks = mark_equity(self.marks, equity_abs=equity_abs, now=now)
        if marks != self.marks:
            self._change(replace(self._latch, marks=marks), is_state=False)
        verdict = judge_risk(marks, equity_abs=equity_abs, limits=self._bot.profile.limits)
        if verdict.breach is None:
            self._save()
            return marks
        reason = f"{verdict.breach.value} {verdict.loss_ratio:.2%} passed the limit {verdict.limit:.2%}"
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
        """Put a latch in force; it is saved at the next opportunity, to the control store only if its state changed."""
        self._latch = latch
        self._unsaved |= {_JOURNAL, _FLAG, _CONTROL} if is_state else {_JOURNAL, _FLAG}

    def _save(self) -> None:
        """Write the latch wherever it is not kept yet; what cannot be written is tried again at the next refresh."""
        try:
            self._save_all()
        except StoreError as error:
            if str(error) != self._save_error:
                log.error("latch_not_saved", bot=self._bot.name, state=self._latch.state.value, error=str(error))  # noqa: TRY400
            self._save_error = str(error)

    def _save_all(self) -> None:
        """Write the latch wherever it is not kept yet. Raises StoreError for the last store that could not be written."""
        clock, latch, failed = self._bot.shared.clock, self._latch, None
        steps: dict[str, Callable[[], None]] = {
            _FLAG: lambda: self._bot.flag.keep_latch(latch),
            _JOURNAL: lambda: self._bot.store.keep_latch(latch),
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
        """Compare the control store's copy with the latch: a stricter one is taken over, another is written again."""
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
            # Without it no command arrives: a person who halts the bot is not heard.
            return strictest([(latch.state, latch.reason), (TradingState.REDUCING, f"the control store cannot be used: {error}")])
        return self._latch.state, self._latch.reason

    def _of_day(self, now: datetime) -> tuple[TradingState, str]:
        until = self._latch.reducing_until
        if until is None or now >= until:
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, f"daily_loss until {until.isoformat()}"

    def _of_lease(self) -> tuple[TradingState, str]:
        """Positions are protected and left without the lease; who holds it in the meantime would enter the same trades."""
        lease = self._bot.lease
        if lease is None or lease.is_held():
            return TradingState.ACTIVE, ""
        return TradingState.REDUCING, "the lease on its database was lost: entries wait until the server can be reached"

    def _of_flag(self) -> tuple[TradingState, str]:
        flag = self._bot.shared.halt_file
        return (TradingState.HALTED, f"{flag.name} exists in the home: remove it to go on") if flag.exists() else (TradingState.ACTIVE, "")


def _kept_latch(bot: Bot, *, marks: EquityMarks | None) -> tuple[RiskLatch, set[str]]:
    """Return the latch in force after a restart, and the stores that do not keep it. Raises StoreBusyError if one is unavailable."""
    journal, flag = _read(bot.store, bot=bot.name), _read(bot.flag, bot=bot.name)
    control = _read_control(bot)
    kept = [latch for latch in (journal, flag) if latch is not None]
    state, reason = strictest([(latch.state, latch.reason) for latch in kept] + [control])
    until = [latch.reducing_until for latch in kept if latch.reducing_until is not None]
    # The journal's marks go first: it is written in the same database as the trades that they are made of. Without a flag file the home may
    # be of an earlier release, whose journal had none; after a person's `resume` both stores say that there are none.
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
    """Return the latch of a store; one that is invalid counts as lost: the others have it."""
    try:
        return store.latch()
    except StoreBusyError:
        raise
    except StoreError as error:
        log.error("latch_not_read", bot=bot, error=str(error))  # noqa: TRY400
        return None
