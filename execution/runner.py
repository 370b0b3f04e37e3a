"""Run one bot's tick: reconcile, protect, execute commands, and at each candle's close exit and enter trades."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bot3.errors import AlreadyRunningError, ExchangeBusyError, StoreBusyError
from bot3.market.instants import instant_us
from bot3.trading.loss_watch import closes_to_judge
from bot3.trading.risk import TradingState
from bot3.usecases.fleet.bot_state import CANDLE_DONE
from execution.bot import Account, Bot
from execution.closes import Closes
from execution.commands import Commands
from execution.entries import Entries
from execution.exits import Exits
from execution.heartbeat import Detail, marks_before, marks_detail
from execution.learning_watch import LearningWatch
from execution.protect import Protector
from execution.reconcile import Reconciler
from execution.states import BotState
from execution.submit import Submitter

log = structlog.get_logger()


class BotRunner:
    """Runs one bot. Every start-up is a recovery after a crash, because the state is stored in the bot's database and on the exchange.

    Only in memory are counters, waits in wall time, and which trades are tried again because their candles or rate could not be read.
    """

    def __init__(self, bot: Bot, *, closes: Closes, learning: LearningWatch) -> None:
        self._bot, self._learning = bot, learning
        self.state = BotState(bot, marks=marks_before(bot.shared.control, bot.name))
        self._submitter = Submitter(bot, self.state)
        self._reconciler = Reconciler(bot, state=self.state, submitter=self._submitter)
        self._exits = Exits(bot, submitter=self._submitter)
        self._protector = Protector(bot, state=self.state, submitter=self._submitter, exits=self._exits)
        self._entries = Entries(bot, state=self.state, submitter=self._submitter, closes=closes)
        self._commands = Commands(bot, state=self.state, exits=self._exits)
        self._done = bot.store.bookmark(CANDLE_DONE)
        self._exits_done = self._done
        self._best: dict[int, float] = {}
        self._is_recovered = False
        self._is_behind = False
        self._account: Account | None = None
        self.entries_off_until: datetime | None = None

    @property
    def name(self) -> str:
        """Return the bot's name."""
        return self._bot.name

    @property
    def last_candle(self) -> datetime | None:
        """Return the close time of the last candle that this bot decided on; None if it has not decided on any yet."""
        return self._done

    def tick(self) -> None:
        """Execute every step that is due now. An error ends the tick; the next tick repeats the steps that are still due."""
        # The time is read before the account, so that the account contains everything that a due candle filled.
        now = self._bot.shared.clock.now()
        account = self._look()
        self._commands.obey(account)
        if self._submitter.submitted:
            account = self._look()
        due = self._due_closes(now)
        if due:
            self._close_candle(self._bot.shared.newest_close(now), account, skipped=len(due) - 1)
            self._look()
        elif self._best:
            self._tighten(account)
            if self._submitter.submitted:
                self._look()
        self._tell_behind(self._bot.shared.newest_close(now))

    def detail(self) -> Detail:
        """Return this bot's fields of the heartbeat; number of open trades, equity and last candle are None until they are known."""
        name, account = self.name, self._account
        return {
            f"{name}_state": self.state.state.value,
            f"{name}_reason": self.state.reason,
            f"{name}_open": None if account is None else len(account.trades),
            f"{name}_equity_abs": self.state.equity_abs,
            f"{name}_last_candle": None if self._done is None else self._done.isoformat(),
            **marks_detail(name, self.state.marks),
        }

    @property
    def open_positions(self) -> int:
        """Return the number of positions on the exchange at the last reconciliation; 0 before the first."""
        return 0 if self._account is None else len(self._account.positions)

    def _look(self) -> Account:
        """Reconcile the database with the exchange, retry failed exits, and place missing stops and targets; return the account.

        The first call also schedules the exits that an earlier process could not send.
        """
        self._submitter.submitted = 0
        self.state.refresh(self._bot.shared.clock.now())
        account = self._reconciler.reconcile(is_startup=not self._is_recovered)
        self._account = account
        for trade in self._reconciler.take_closed():
            if self._exits_done is not None:
                self._exits.widen_closed(trade, since=self._exits_done)
        if not self._is_recovered:
            self._exits.recover(account)
            self._protector.report_exposure(account)
            self._is_recovered = True
            log.info("bot_reconciled", bot=self.name, open_trades=len(account.trades), mismatch=account.mismatch)
        self._exits.retry(account, may_leave=self._may_leave)
        self._protector.protect(account)
        return account

    @property
    def _may_leave(self) -> bool:
        return self.state.state is not TradingState.HALTED

    def _due_closes(self, now: datetime) -> range:
        """Return the closes up to `now`, in microseconds since 1970, that were not decided on yet; at first only the newest."""
        after_us = None if self._done is None else instant_us(self._done)
        return closes_to_judge(after_us=after_us, until_us=instant_us(now), candle_us=self._bot.shared.candle // timedelta(microseconds=1))

    def _close_candle(self, close: datetime, account: Account, *, skipped: int) -> None:
        candle = self._bot.shared.candle
        since = self._exits_done or close - candle
        if close > since:
            self._best = self._exits.judge_candles(account, since=since, until=close, may_leave=self._may_leave)
            self._exits_done = close
        if self._submitter.submitted:
            account = self._look()
        self._tighten(account)
        if skipped:
            log.warning("candles_skipped", bot=self.name, count=skipped, until=close.isoformat())
        try:
            self._enter(close, account)
        except (StoreBusyError, ExchangeBusyError, AlreadyRunningError):
            # A temporary failure: a later tick, or the process that trades the bot now, decides on the candle again. What was sent is not
            # sent twice.
            raise
        except Exception:
            self._finish(close)
            raise
        self._finish(close)

    def _tighten(self, account: Account) -> None:
        """Move the stops that the exit rule moves, unless the bot is halted; the next tick repeats it for rates that could not be read."""
        self._best = self._protector.tighten(account, best=self._best) if self._may_leave else {}

    def _tell_behind(self, close: datetime) -> None:
        """Log once if the market time was set back: no candle is decided on until it has passed the last decided one again."""
        is_behind = self._done is not None and close < self._done
        if is_behind and not self._is_behind:
            log.warning("market_time_set_back", bot=self.name, close=close.isoformat(), decided_until=str(self._done))
        self._is_behind = is_behind

    def _enter(self, close: datetime, account: Account) -> None:
        # The loss limits are checked at every close that is decided on, even if no entry is allowed.
        balance = self._bot.exchange.fetch_balance()
        marks = self.state.look(equity_abs=float(balance.equity_abs), now=self._bot.shared.clock.now())
        wall = self._bot.shared.clock.wall_now()
        if self.entries_off_until is not None and wall < self.entries_off_until:
            log.warning("entries_skipped", bot=self.name, until=self.entries_off_until.isoformat())
            return
        self._entries.enter(close, account, balance=balance, marks=marks, learning=self._learning.learning, regime=self._learning.regime)

    def _finish(self, close: datetime) -> None:
        self._reconciler.save_bookmarks()
        self._bot.store.set_bookmark(CANDLE_DONE, close)
        self._done = close
