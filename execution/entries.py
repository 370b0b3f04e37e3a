"""Enter trades: decide on the signals of a candle's close, store all decisions, and send the orders of those to trade."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from bot3.market.regimes import Regime
from bot3.trading.decide import decide_entries
from bot3.trading.decisions import Book, EntryPlan, Hold, Learning, journal_row
from bot3.trading.entries import planned_notional
from bot3.trading.orders import Balance, Intent
from bot3.trading.risk import EquityMarks, TradingState
from bot3.trading.signals import Signal
from bot3.trading.trades import ExitReason
from execution.bot import Account, Bot
from execution.closes import Closes
from execution.states import BotState
from execution.submit import Submitter

_STOPPED = {reason.value for reason in (ExitReason.STOP_LOSS, ExitReason.STOPLOSS_ON_EXCHANGE, ExitReason.LIQUIDATION)}

log = structlog.get_logger()


class Entries:
    """Enters the trades of one bot; `trading.decide` contains the rules."""

    def __init__(self, bot: Bot, *, state: BotState, submitter: Submitter, closes: Closes) -> None:
        self._bot, self._state, self._submitter, self._closes = bot, state, submitter, closes

    def enter(
        self, close: datetime, account: Account, *, balance: Balance, marks: EquityMarks, learning: Learning, regime: Regime | None
    ) -> None:
        """Decide on the signals of the candle that closed at `close`, store the decisions in the bot's database, and send entry orders.

        Parameters
        ----------
        balance : Balance
            The balance of the wallet, fetched after the close.
        marks : EquityMarks
            The equities that losses are measured from, updated with this balance (`BotState.look`).
        regime : Regime or None
            The market's regime; None if it is unknown.
        """
        now = self._bot.shared.clock.now()
        signals = self._closes.signals(close, now=now)
        if not signals:
            return
        found = {pair: self._closes.view(self._bot, pair, close=close) for pair in sorted({signal.pair for signal in signals})}
        views = {pair: view for pair, view in found.items() if view is not None}
        closed = self._closed_lately(now)
        book = Book(
            equity_abs=float(balance.equity_abs),
            free_abs=float(balance.free_abs),
            notionals=notionals(account),
            marks=marks,
            last_closes={pair: at for pair, _, at in closed},
            stops=tuple(at for _, reason, at in closed if reason in _STOPPED),
        )
        verdicts = decide_entries(
            signals,
            profile=self._bot.profile,
            book=book,
            views=views,
            learning=learning,
            regime=regime,
            costs=self._bot.shared.costs,
            run_mode=self._bot.shared.run_mode,
            state=self._allowed(account),
            now=self._bot.shared.clock.now(),
        )
        self._send(verdicts)

    def _allowed(self, account: Account) -> TradingState:
        """Return the bot's trading state, but at least REDUCING while positions on the exchange and open trades differ."""
        if account.mismatch is not None and self._state.state is TradingState.ACTIVE:
            return TradingState.REDUCING
        return self._state.state

    def _send(self, verdicts: list[tuple[Signal, EntryPlan | Hold]]) -> None:
        store, next_id = self._bot.store, self._bot.store.next_trade_id()
        intents: list[Intent] = []
        rows = []
        for signal, verdict in verdicts:
            sent = None
            if isinstance(verdict, EntryPlan):
                sent = self._intent(verdict, trade_id=next_id + len(intents))
                intents.append(sent)
            rows.append(journal_row(self._bot.name, signal, verdict, client_order_id=None if sent is None else sent.client_order_id))
        store.record_decisions(rows)
        log.info("entries_decided", bot=self._bot.name, signals=len(rows), intents=len(intents))
        for intent in intents:
            self._submitter.submit(intent)

    def _intent(self, plan: EntryPlan, *, trade_id: int) -> Intent:
        intent = plan.entry_intent(account=self._bot.exchange.account, bot=self._bot.name, trade_id=trade_id)
        return replace(intent, attempt=self._submitter.entry_attempt(plan.pair, plan.candle_close_time))

    def _closed_lately(self, now: datetime) -> list[tuple[str, str | None, datetime]]:
        """Return pair, exit reason and close date of the closed trades that stop streaks and cool-offs depend on, oldest first."""
        limits = self._bot.profile.limits
        since = now - limits.stop_streak_window - limits.stop_streak_pause - limits.cool_off
        closed = self._bot.store.closed_trades(closed_since=since)
        return [(trade.pair, trade.exit_reason, trade.close_date) for trade in closed if trade.close_date is not None]


def notionals(account: Account) -> dict[str, float]:
    """Return pair to notional at the entry rate, of open trades, positions without a trade, and entry orders without a known result."""
    held = {pair: float(position.amount * position.open_rate) for pair, position in account.positions.items()}
    booked = {pair: trade.amount * trade.open_rate for pair, trade in account.trades.items()}
    in_flight = {intent.pair: planned_notional(intent) for intent in account.entries_in_flight()}
    return {**in_flight, **held, **booked}
