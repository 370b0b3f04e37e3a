"""Protect every position with a stop and a target on the exchange; close a position at market if its stop is rejected or late.

A stop is moved by placing the new one before the old one is cancelled, so the position keeps a stop. Both orders are in the bot's database
and on the exchange, so after a kill the next process cancels the old one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import structlog

from bot3.errors import ExchangeBusyError, InvalidTradeError, OrderRejectedError
from bot3.trading.exit_law import stop_at_open
from bot3.trading.orders import Intent, IntentLeg, IntentState, Position, nearest_stop
from bot3.trading.risk import TradingState
from bot3.trading.trades import ExitReason, Trade
from bot3.trading.units import side
from execution.bot import OWN_PREFIX, Account, Bot
from execution.exits import Backoff, Exits, opening_intent
from execution.states import BotState
from execution.submit import Submitter, closing_intent, state_of

_RATES = {IntentLeg.STOP: "stop_rate", IntentLeg.TARGET: "take_profit_rate"}

_MISSING = object()
"""Distinguishes a context without a rate, which is an error, from one that says that there is none."""

log = structlog.get_logger()


class Protector:
    """Places the stops and targets of one bot.

    Their rates are read from the intent that opened each trade, which is stored before the entry is sent, so they survive a kill.
    """

    def __init__(self, bot: Bot, *, state: BotState, submitter: Submitter, exits: Exits) -> None:
        self._bot, self._state, self._submitter, self._exits = bot, state, submitter, exits
        self._bare_since: dict[int, datetime] = {}
        self._without_target: set[int] = set()
        self._backoff = Backoff()

    def report_exposure(self, account: Account) -> None:
        """Log, at start-up, the trades whose position is not completely covered by open stops; `protect` must follow."""
        for pair, trade in account.trades.items():
            if self._uncovered(trade, account) > 0:
                log.warning(
                    "position_found_unprotected", bot=self._bot.name, pair=pair, trade_id=trade.trade_id, opened=str(trade.open_date)
                )

    def tighten(self, account: Account, *, best: Mapping[int, float]) -> dict[int, float]:
        """Place a new stop for each trade whose break-even rule moves it (`exit_law.stop_at_open`); `protect` cancels the old ones.

        A stop that the exchange does not accept is tried again at the next candle's close; until then the old stop stays on the exchange. A
        rejection does not count towards the rejections that halt a bot, because the position is still protected.

        Parameters
        ----------
        best : mapping of int to float
            Trade id to the best rate of its closed candles; trades that are not in it are left unchanged.

        Returns
        -------
        dict of int to float
            The part of `best` whose trades have no known market rate now: try these again.
        """
        unread: dict[int, float] = {}
        for trade in account.trades.values():
            is_held = trade.pair in account.positions and not self._exits.is_leaving(trade, account)
            if is_held and trade.trade_id in best and self._exits.rule_of(trade).break_even_activation_move < math.inf:
                try:
                    self._tighten(trade, account, best_rate=best[trade.trade_id])
                except ExchangeBusyError as error:
                    log.warning("stop_not_moved", bot=self._bot.name, pair=trade.pair, trade_id=trade.trade_id, error=str(error))
                    unread[trade.trade_id] = best[trade.trade_id]
        return unread

    def _tighten(self, trade: Trade, account: Account, *, best_rate: float) -> None:
        shared, sign = self._bot.shared, side(is_short=trade.is_short)
        stop = float(self._open_stop(trade, account))
        moved = shared.markets.market(trade.pair).break_even_rate(trade.open_rate, is_short=trade.is_short, costs=shared.costs)
        opened = float(self._bot.exchange.fetch_rate(trade.pair))
        state = (trade.open_rate, best_rate, float(moved))
        if stop_at_open(sign, stop, opened, state, self._exits.rule_of(trade).numbers) == stop or self._is_unknown(trade, account):
            return
        amount, close = account.positions[trade.pair].amount, shared.newest_close(shared.clock.now())
        intent = closing_intent(self._bot, trade, IntentLeg.STOP, amount=amount, candle_close_time=close, trigger_rate=moved)
        sent = self._submitter.submit(intent, is_essential=False)
        log.info("stop_moved", bot=self._bot.name, pair=trade.pair, trade_id=trade.trade_id, stop_rate=str(moved), state=sent)

    def protect(self, account: Account) -> None:
        """Place missing stops and targets, close positions without a complete stop past the deadline, and cancel superfluous orders.

        Superfluous are a trade's looser stops once it is covered, and this platform's orders whose trade is closed.
        """
        held = {trade.trade_id for pair, trade in account.trades.items() if pair in account.positions}
        self._bare_since = {trade_id: since for trade_id, since in self._bare_since.items() if trade_id in held}
        self._without_target &= held
        self._backoff.forget(held)
        for trade in account.trades.values():
            if trade.trade_id in held and account.positions[trade.pair].is_short is trade.is_short:
                self._protect(trade, account)
        self._cancel_orphans(account)

    def _protect(self, trade: Trade, account: Account) -> None:
        missing = self._uncovered(trade, account)
        if missing > 0 and not self._cover(trade, account, amount=missing):
            return
        if missing <= 0:
            self._bare_since.pop(trade.trade_id, None)
            self._cancel_looser(trade, account)
        if not self._exits.is_leaving(trade, account) and trade.trade_id not in self._without_target:
            self._aim(trade, account)

    def _cover(self, trade: Trade, account: Account, *, amount: Decimal) -> bool:
        """Place a stop for the uncovered amount; return whether the exchange has confirmed it.

        The position is closed at market if the stop is rejected, or is missing for longer than the deadline. Nothing is placed while the
        result of an earlier stop is unknown, or before a retry is due.
        """
        wall = self._bot.shared.clock.wall_now()
        # A wall clock that was set back restarts the deadline: otherwise the deadline would be later by that amount.
        since = self._bare_since[trade.trade_id] = min(self._bare_since.get(trade.trade_id, wall), wall)
        if wall - since > self._bot.shared.protect_deadline:
            self._flatten(trade, account, why="no stop was confirmed within the deadline")
            return False
        if account.waiting(IntentLeg.STOP, trade_id=trade.trade_id) and self._is_unknown(trade, account):
            return False
        if not self._backoff.is_due(trade.trade_id, "stop", wall=wall):
            return False
        state = self._place(trade, IntentLeg.STOP, amount=amount)
        if state is IntentState.REJECTED:
            self._flatten(trade, account, why="its stop was rejected")
        elif state is IntentState.DEAD:
            self._backoff.failed(trade.trade_id, "stop", wall=wall)
        return state is IntentState.ACKED

    def _is_unknown(self, trade: Trade, account: Account) -> bool:
        return any(intent.state is IntentState.SENT for intent in account.waiting(IntentLeg.STOP, trade_id=trade.trade_id))

    def _flatten(self, trade: Trade, account: Account, *, why: str) -> None:
        wall = self._bot.shared.clock.wall_now()
        if self._exits.is_leaving(trade, account) or not self._backoff.is_due(trade.trade_id, "flatten", wall=wall):
            return
        log.error("position_flattened", bot=self._bot.name, pair=trade.pair, trade_id=trade.trade_id, why=why)
        if self._exits.leave(trade, account, reason=ExitReason.EMERGENCY_EXIT) is not IntentState.DONE:
            self._backoff.failed(trade.trade_id, "flatten", wall=wall)

    def _aim(self, trade: Trade, account: Account) -> None:
        """Place the target if the trade has one that was not sent yet; if it is rejected because the rate passed it, exit unless HALTED.

        A target that was rejected is not sent again by this process.
        """
        wall = self._bot.shared.clock.wall_now()
        if account.waiting(IntentLeg.TARGET, trade_id=trade.trade_id) or not self._backoff.is_due(trade.trade_id, "target", wall=wall):
            return
        if opening_intent(self._bot, trade).context.get(_RATES[IntentLeg.TARGET], _MISSING) is None:
            self._without_target.add(trade.trade_id)
            return
        state = self._place(trade, IntentLeg.TARGET, amount=account.positions[trade.pair].amount)
        if state is IntentState.DEAD:
            self._backoff.failed(trade.trade_id, "target", wall=wall)
        elif state is IntentState.REJECTED:
            self._without_target.add(trade.trade_id)
            if self._state.state is not TradingState.HALTED and self._is_reached(trade):
                self._exits.leave(trade, account, reason=ExitReason.ROI)

    def _is_reached(self, trade: Trade) -> bool:
        rate, target = self._bot.exchange.fetch_rate(trade.pair), _rate(opening_intent(self._bot, trade), IntentLeg.TARGET)
        return rate <= target if trade.is_short else rate >= target

    def _place(self, trade: Trade, leg: IntentLeg, *, amount: Decimal) -> IntentState | None:
        opening = opening_intent(self._bot, trade)
        rate = self._stop_rate(trade, opening) if leg is IntentLeg.STOP else _rate(opening, leg)
        intent = closing_intent(self._bot, trade, leg, amount=amount, candle_close_time=opening.candle_close_time, trigger_rate=rate)
        return self._submitter.submit(intent)

    def _stop_rate(self, trade: Trade, opening: Intent) -> Decimal:
        """Return the stop in force: the nearest one that was placed, or may have been, else that of the entry."""
        stops = (intent for intent in self._bot.store.intents_of_trade(trade.trade_id) if intent.leg is IntentLeg.STOP)
        placed = (stop.trigger_rate for stop in stops if stop.state not in {IntentState.REJECTED, IntentState.DEAD})
        planned = _rate(opening, IntentLeg.STOP)
        return nearest_stop([planned, *placed], is_short=trade.is_short) or planned

    def _open_stop(self, trade: Trade, account: Account) -> Decimal:
        """Return the rate of the nearest stop that is or may be open on the exchange; without one, the stop in force (`_stop_rate`)."""
        waiting = (intent.trigger_rate for intent in account.waiting(IntentLeg.STOP, trade_id=trade.trade_id))
        nearest = nearest_stop(waiting, is_short=trade.is_short)
        return self._stop_rate(trade, opening_intent(self._bot, trade)) if nearest is None else nearest

    def _cancel_looser(self, trade: Trade, account: Account) -> None:
        """Cancel the stops that a nearer one has replaced, once that covers the whole position."""
        intents = {intent.client_order_id: intent for intent in account.waiting(IntentLeg.STOP, trade_id=trade.trade_id)}
        stops = [order for order_id, order in account.orders.items() if order_id in intents]
        rates = {order.trigger_rate for order in stops if order.trigger_rate is not None}
        if len(rates) < 2:
            return
        nearest = nearest_stop(rates, is_short=trade.is_short)
        covered = sum((order.amount for order in stops if order.trigger_rate == nearest), Decimal(0))
        for order in stops:
            if order.trigger_rate != nearest and covered >= account.positions[trade.pair].amount:
                self._cancel(pair=order.pair, client_order_id=order.client_order_id, intent=intents[order.client_order_id])

    def _uncovered(self, trade: Trade, account: Account) -> Decimal:
        """Return the part of a position's amount that the trade's open stops would not close; 0 without a position."""
        position: Position | None = account.positions.get(trade.pair)
        if position is None:
            return Decimal(0)
        stops = account.waiting(IntentLeg.STOP, trade_id=trade.trade_id)
        resting = (account.orders[stop.client_order_id].amount for stop in stops if stop.client_order_id in account.orders)
        return position.amount - sum(resting, Decimal(0))

    def _cancel_orphans(self, account: Account) -> None:
        """Cancel the open orders of this platform that belong to no open trade; orders of other programs are not changed."""
        open_ids = {trade.trade_id for trade in account.trades.values()}
        for order_id, order in account.orders.items():
            intent = account.unsettled.get(order_id)
            if not order_id.startswith(OWN_PREFIX) or (intent is not None and intent.trade_id in open_ids):
                continue
            self._cancel(pair=order.pair, client_order_id=order_id, intent=intent)

    def _cancel(self, *, pair: str, client_order_id: str, intent: Intent | None) -> None:
        try:
            status = self._bot.exchange.cancel_order(pair=pair, client_order_id=client_order_id)
        except OrderRejectedError as error:
            log.warning("cancel_rejected", bot=self._bot.name, pair=pair, client_order_id=client_order_id, error=str(error))
            return
        log.info("order_cancelled", bot=self._bot.name, pair=pair, client_order_id=client_order_id, status=status.status)
        if intent is None:
            self._state.latch(TradingState.REDUCING, f"{pair}: open order {client_order_id} is missing in the journal")
        else:
            self._bot.store.move_intent(client_order_id, state=state_of(status))


def _rate(opening: Intent, leg: IntentLeg) -> Decimal:
    rate = opening.context.get(_RATES[leg])
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise InvalidTradeError(f"{opening.bot} {opening.pair}: entry {opening.client_order_id} has no {_RATES[leg]} in its context")
    return Decimal(str(rate))
