"""Send orders: store an intent (planned order) in the bot's database, then send the order, then store the result."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog

from bot3.errors import ExchangeBusyError, OrderAmbiguousError, OrderRejectedError
from bot3.trading.orders import Intent, IntentLeg, IntentState, OrderSide, OrderStatus, OrderType
from bot3.trading.trades import Trade
from execution.bot import Bot
from execution.states import BotState

_STATES = {
    "open": IntentState.ACKED,
    "closed": IntentState.DONE,
    "canceled": IntentState.CANCELED,
    "expired": IntentState.CANCELED,
    "rejected": IntentState.REJECTED,
}
_TYPES = {IntentLeg.STOP: OrderType.STOP_MARKET, IntentLeg.TARGET: OrderType.TAKE_PROFIT_MARKET, IntentLeg.EXIT: OrderType.MARKET}

log = structlog.get_logger()


def state_of(status: OrderStatus) -> IntentState:
    """Return the intent state that corresponds to an order status of the exchange."""
    return _STATES[status.status]


def closing_intent(
    bot: Bot,
    trade: Trade,
    leg: IntentLeg,
    *,
    amount: Decimal,
    candle_close_time: datetime,
    trigger_rate: Decimal | None = None,
    reason: str | None = None,
) -> Intent:
    """Return an intent that reduces a trade (stop, target or exit), with the next attempt number of its leg.

    Parameters
    ----------
    amount : Decimal
        Amount in base currency.
    candle_close_time : datetime
        Close of the candle that the decision is based on; part of the intent's key.
    trigger_rate : Decimal or None
        Rate of a stop or target; None for an exit.
    reason : str or None
        Exit reason of an exit.
    """
    attempts = [intent.attempt for intent in bot.store.intents_of_trade(trade.trade_id) if intent.leg is leg]
    return Intent(
        account=bot.exchange.account,
        bot=bot.name,
        pair=trade.pair,
        candle_close_time=candle_close_time,
        leg=leg,
        side=OrderSide.BUY if trade.is_short else OrderSide.SELL,
        order_type=_TYPES[leg],
        amount=amount,
        leverage=trade.leverage,
        reduce_only=True,
        trade_id=trade.trade_id,
        context={} if reason is None else {"exit_reason": reason},
        trigger_rate=trigger_rate,
        attempt=max(attempts, default=0) + 1,
    )


class Submitter:
    """The only class that sends orders to the exchange.

    An intent that is already in the database is not sent again. One whose result is unknown (an ambiguous response, a killed process) stays
    SENT until `Reconciler.reconcile` has determined the result; only an order that definitely does not exist is attempted again.
    """

    def __init__(self, bot: Bot, state: BotState) -> None:
        self._bot, self._state = bot, state
        self.submitted = 0

    def submit(self, intent: Intent, *, is_essential: bool = True) -> IntentState | None:
        """Store an intent, send its order, and store the result; return the state of the intent.

        ACKED (open on the exchange), DONE (filled), CANCELED; REJECTED by the exchange; DEAD if the exchange was busy and no order exists;
        SENT if the response was ambiguous (the result is not stored then). None if the intent is already stored: nothing was sent.

        Parameters
        ----------
        is_essential : bool
            Whether a rejection counts towards the number of rejections that halts the bot.

        Raises
        ------
        StoreError
            If the database cannot be written; an order that was sent before the failure is found by the next reconciliation.
        """
        store, wall = self._bot.store, self._bot.shared.clock.wall_now
        if not store.plan_intent(intent):
            log.warning("intent_known_already", **_named(intent))
            return None
        sent_at = wall()
        store.move_intent(intent.client_order_id, state=IntentState.SENT, sent_at=sent_at)
        self.submitted += 1
        try:
            status = self._bot.exchange.create_order(replace(intent, state=IntentState.SENT, sent_at=sent_at))
        except OrderRejectedError as error:
            return self._refused(intent, IntentState.REJECTED, error, is_essential=is_essential)
        except ExchangeBusyError as error:
            return self._refused(intent, IntentState.DEAD, error, is_essential=is_essential)
        except OrderAmbiguousError as error:
            log.warning("order_left_unknown", **_named(intent), error=str(error))
            return IntentState.SENT
        store.move_intent(intent.client_order_id, state=state_of(status), exchange_order_id=status.exchange_order_id)
        log.info("order_submitted", **_named(intent), amount=str(intent.amount), status=status.status)
        return state_of(status)

    def bury(self, intent: Intent, *, reason: str) -> None:
        """Store the state DEAD for an intent whose order definitely does not exist, with the reason."""
        self._bot.store.move_intent(intent.client_order_id, state=IntentState.DEAD, reject_reason=reason)
        log.warning("intent_dropped", **_named(intent), reason=reason)

    def entry_attempt(self, pair: str, candle_close_time: datetime) -> int:
        """Return the attempt number for an entry on a pair at a candle's close.

        1 for the first; one above the last attempt if that is DEAD; else that of the last attempt, which `submit` does not send again.
        """
        newest = max(self._bot.store.entries_of_close(pair, candle_close_time), key=lambda intent: intent.attempt, default=None)
        if newest is None:
            return 1
        return newest.attempt + 1 if newest.state is IntentState.DEAD else newest.attempt

    def _refused(self, intent: Intent, state: IntentState, error: Exception, *, is_essential: bool) -> IntentState:
        if state is IntentState.DEAD:
            self.bury(intent, reason=str(error))
            return state
        self._bot.store.move_intent(intent.client_order_id, state=state, reject_reason=str(error))
        log.error("order_rejected", **_named(intent), error=str(error))
        if is_essential:
            self._state.rejected(wall=self._bot.shared.clock.wall_now())
        return state


def _named(intent: Intent) -> dict[str, str | int]:
    return {
        "bot": intent.bot,
        "pair": intent.pair,
        "leg": intent.leg.value,
        "trade_id": intent.trade_id,
        "client_order_id": intent.client_order_id,
    }
