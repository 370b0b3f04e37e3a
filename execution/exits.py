"""Exit trades at market: by the exit rule after a candle's close, on a command, or because a stop or target cannot be placed."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bot3.errors import CandleError
from bot3.trading.decide import decide_exit
from bot3.trading.exit_rules import ExitRule
from bot3.trading.ledger import require_exit_reason
from bot3.trading.orders import Intent, IntentLeg, IntentState
from bot3.trading.trades import ExitReason, Trade
from execution.bot import Account, Bot
from execution.submit import Submitter, closing_intent

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=0.2), timedelta(seconds=5)
_ALWAYS = {ExitReason.EMERGENCY_EXIT, ExitReason.FORCE_EXIT}

log = structlog.get_logger()


def opening_intent(bot: Bot, trade: Trade) -> Intent:
    """Return the intent (planned order) that opened a trade; its context contains stop, target and exit rules of the trade."""
    entries = (intent for intent in bot.store.intents_of_trade(trade.trade_id) if intent.leg is IntentLeg.ENTRY)
    return next(intent for intent in entries if intent.state not in {IntentState.REJECTED, IntentState.DEAD})


class Backoff:
    """Computes when a failed action on a trade may be retried, in wall time: 0.2 s after a failure, doubled up to 5 s."""

    def __init__(self) -> None:
        self._waits: dict[tuple[int, str], tuple[datetime, timedelta]] = {}

    def is_due(self, trade_id: int, what: str, *, wall: datetime) -> bool:
        """Return whether the action `what` on a trade may be tried now; a wall clock that was set back does not lengthen the wait."""
        if (trade_id, what) not in self._waits:
            return True
        due, wait = self._waits[trade_id, what]
        return wall >= due or wall < due - wait

    def failed(self, trade_id: int, what: str, *, wall: datetime) -> None:
        """Note a failure of the action: its wait is twice the last one, at most `_LONGEST_WAIT`."""
        _, last = self._waits.get((trade_id, what), (wall, _FIRST_WAIT / 2))
        wait = min(last * 2, _LONGEST_WAIT)
        self._waits[trade_id, what] = (wall + wait, wait)

    def forget(self, trade_ids: set[int]) -> None:
        """Drop the waits of all trades except those with the given ids."""
        self._waits = {key: value for key, value in self._waits.items() if key[0] in trade_ids}


class Exits:
    """Exits the trades of one bot at market; an exit that failed because the exchange was busy is retried until the trade is closed."""

    def __init__(self, bot: Bot, *, submitter: Submitter) -> None:
        self._bot, self._submitter = bot, submitter
        self._wanted: dict[int, ExitReason] = {}
        self._sent: set[int] = set()
        self._rules: dict[int, ExitRule] = {}
        self._unjudged_since: dict[int, datetime] = {}
        self._backoff = Backoff()

    def recover(self, account: Account) -> None:
        """Schedule again the exits that an earlier process could not send: trades whose newest exit intent is DEAD (no order exists)."""
        for trade in account.trades.values():
            exits = [intent for intent in self._bot.store.intents_of_trade(trade.trade_id) if intent.leg is IntentLeg.EXIT]
            newest = max(exits, key=lambda intent: intent.attempt, default=None)
            if newest is not None and newest.state is IntentState.DEAD:
                self._wanted[trade.trade_id] = ExitReason(require_exit_reason(newest))

    def is_leaving(self, trade: Trade, account: Account) -> bool:
        """Return whether an exit order of the trade was sent and its result is not final or not read yet."""
        return trade.trade_id in self._sent or bool(account.waiting(IntentLeg.EXIT, trade_id=trade.trade_id))

    def leave(self, trade: Trade, account: Account, *, reason: ExitReason) -> IntentState | None:
        """Send a market order that closes a trade's position; return the state of its intent.

        None, and nothing is sent, if the account has no position of the trade's pair and direction, an exit is in progress, or the same
        intent is stored already. DEAD means that the exchange was busy: `retry` sends the exit again.
        """
        position, clock = account.positions.get(trade.pair), self._bot.shared.clock
        if position is None or position.is_short is not trade.is_short or self.is_leaving(trade, account):
            return None
        intent = closing_intent(
            self._bot,
            trade,
            IntentLeg.EXIT,
            amount=position.amount,
            candle_close_time=self._bot.shared.newest_close(clock.now()),
            reason=reason.value,
        )
        state = self._submitter.submit(intent)
        if state is IntentState.DEAD:
            self._wanted[trade.trade_id] = reason
            self._backoff.failed(trade.trade_id, "exit", wall=clock.wall_now())
        else:
            self._wanted.pop(trade.trade_id, None)
        if state in {IntentState.DONE, IntentState.ACKED, IntentState.SENT}:
            self._sent.add(trade.trade_id)
        return state

    def retry(self, account: Account, *, may_leave: bool) -> None:
        """Retry the exits that failed because the exchange was busy, if they are due; without `may_leave` only emergency and forced exits.

        This must be called right after a reconciliation, whose result is `account`.
        """
        # The account was just reconciled, so it contains the result of every exit sent before.
        self._sent.clear()
        by_id = {trade.trade_id: trade for trade in account.trades.values()}
        self._wanted = {trade_id: reason for trade_id, reason in self._wanted.items() if trade_id in by_id}
        self._rules = {trade_id: rule for trade_id, rule in self._rules.items() if trade_id in by_id}
        self._backoff.forget(set(by_id))
        for trade_id, reason in list(self._wanted.items()):
            is_allowed = may_leave or reason in _ALWAYS
            if is_allowed and self._backoff.is_due(trade_id, "exit", wall=self._bot.shared.clock.wall_now()):
                self.leave(by_id[trade_id], account, reason=reason)

    def judge_candles(self, account: Account, *, since: datetime, until: datetime, may_leave: bool) -> dict[int, float]:
        """Apply the exit rules of all open trades to the candles that closed after `since` and by `until`, and store the extreme rates.

        A trade whose rule requires an exit is closed at market if `may_leave`. A trade whose candles cannot be read is skipped; the next
        call applies its rule to these candles too.

        Returns
        -------
        dict of int to float
            Trade id to the best rate since entry, of the trades that were not skipped and whose rule requires no exit.
        """
        kept: dict[int, float] = {}
        unjudged: dict[int, datetime] = {}
        for trade in account.trades.values():
            try:
                reason, best = self._judge(trade, since=self._unjudged_since.get(trade.trade_id, since), until=until)
            except CandleError as error:
                log.warning("candles_unreadable", bot=self._bot.name, pair=trade.pair, error=str(error))
                unjudged.setdefault(trade.trade_id, self._unjudged_since.get(trade.trade_id, since))
                continue
            if reason is None:
                kept[trade.trade_id] = best
            elif may_leave and trade.trade_id not in self._wanted:
                self.leave(trade, account, reason=reason)
        self._unjudged_since = unjudged
        return kept

    def rule_of(self, trade: Trade) -> ExitRule:
        """Return the exit rules that a trade was opened with."""
        return self._rules.setdefault(trade.trade_id, ExitRule.of_context(opening_intent(self._bot, trade).context))

    def widen_closed(self, trade: Trade, *, since: datetime) -> None:
        """Store the extreme rates of a closed trade from the candles that closed after `since` and before its close.

        The candle in which the trade closed is left out: in that candle only the fill counts. If candles cannot be read, nothing is stored.
        """
        shared = self._bot.shared
        if trade.close_date is None or trade.close_date <= since:
            return
        start, end = max(since, shared.newest_close(trade.open_date)), trade.close_date - timedelta(microseconds=1)
        try:
            frame = shared.candles.candles(trade.pair, shared.timeframe, start=start, end=end)
        except CandleError as error:
            log.warning("candles_unreadable", bot=self._bot.name, pair=trade.pair, error=str(error))
            return
        if not frame.empty:
            self._widen(trade, low=float(frame["low"].min()), high=float(frame["high"].max()))

    def _judge(self, trade: Trade, *, since: datetime, until: datetime) -> tuple[ExitReason | None, float]:
        """Return the reason to exit a trade (None if there is none), and its best rate since entry."""
        shared = self._bot.shared
        first = max(since, shared.newest_close(trade.open_date))
        frame = shared.candles.candles(trade.pair, shared.timeframe, start=first, end=until)
        best = _best_so_far(trade)
        if frame.empty:
            return None, best
        lows, highs = frame["low"].to_list(), frame["high"].to_list()
        self._widen(trade, low=min(lows), high=max(highs))
        rule = self.rule_of(trade)
        rows = zip(frame["open_time"].to_list(), lows, highs, frame["close"].to_list(), strict=True)
        for opened, low, high, close in rows:
            best = min(best, low) if trade.is_short else max(best, high)
            reason = decide_exit(
                rule,
                is_short=trade.is_short,
                open_rate=trade.open_rate,
                best_rate=best,
                close_rate=close,
                candle_close_time=opened.to_pydatetime() + shared.candle,
            )
            if reason is not None:
                return reason, best
        return None, best

    def _widen(self, trade: Trade, *, low: float, high: float) -> None:
        lowest, highest = trade.min_rate or trade.open_rate, trade.max_rate or trade.open_rate
        if low < lowest or high > highest:
            self._bot.store.mark_rates(trade.trade_id, min_rate=min(low, lowest), max_rate=max(high, highest))


def _best_so_far(trade: Trade) -> float:
    seen = trade.min_rate if trade.is_short else trade.max_rate
    return trade.open_rate if seen is None else seen
