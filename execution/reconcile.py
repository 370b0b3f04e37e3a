"""At start-up and on every tick: settle sent orders, book fills and funding, and compare the exchange's positions with the open trades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot3.errors import StoreBusyError, StoreError, StoreFullError
from bot3.market.instants import EPOCH
from bot3.trading.orders import Fill, FundingPayment, Intent, IntentLeg, IntentState, OrderStatus, Position
from bot3.trading.risk import TradingState
from bot3.trading.trades import ExitReason, Trade
from execution.booked import Booked
from execution.bot import OWN_PREFIX, Account, Bot
from execution.states import BotState
from execution.submit import Submitter, closing_intent, state_of

FILLS_SEEN, FUNDING_SEEN = "fills_seen_until", "funding_seen_until"
"""Names of bookmarks in the bot's database: the market times of the newest booked fill and funding payment."""

AUTOCLOSE_PREFIX = "autoclose-"
"""Prefix of the client order id of fills by which the exchange liquidated a position."""

_OVERLAP = timedelta(minutes=10)  # market time: fills and payments may be reported with a delay
_FUNDING_OVERLAP = timedelta(days=7)  # market time: funding rates may be published days late; queried once a candle
_READ_LAG = timedelta(seconds=1)  # wall time: an exchange may respond from a replica that lags behind
_PATIENCE = timedelta(seconds=2)  # wall time: a fill may be reported after the position that it opened
_SAME = 1e-9  # relative tolerance: amounts are sums of decimals on the exchange, floats in the journal

log = structlog.get_logger()


class Reconciler:
    """Reconciles the database of one bot (its journal of intents, fills and payments) with its exchange account.

    A failed query raises an error: it is never treated as an empty result.
    """

    def __init__(self, bot: Bot, *, state: BotState, submitter: Submitter) -> None:
        self._bot, self._state, self._submitter = bot, state, submitter
        self._fills = Booked(bot.store.bookmark(FILLS_SEEN) or EPOCH, overlap=_OVERLAP)
        self._funding = Booked(bot.store.bookmark(FUNDING_SEEN) or EPOCH, overlap=_FUNDING_OVERLAP)
        self._saved = (self._fills.newest, self._funding.newest)
        self._late_funding_asked: datetime | None = None
        self._mismatched_since: datetime | None = None
        self._told: set[str] = set()
        self._closed: list[Trade] = []

    def reconcile(self, *, is_startup: bool = False) -> Account:
        """Determine the results of sent orders, book fills and funding, compare positions with open trades; return the account.

        While positions and open trades differ (`Account.mismatch`), the bot enters no trades. If they differ for two seconds of wall time,
        or at start-up, the state REDUCING is latched.

        Raises
        ------
        ExchangeBusyError, StoreError
            If the exchange or the database cannot be queried.
        """
        exchange = self._bot.exchange
        orders = {order.client_order_id: order for order in exchange.fetch_open_orders()}
        self._settle(orders)
        self.book()
        positions, trades = self._held()
        mismatch = _mismatch(positions, trades)
        if mismatch is not None:
            # The exchange may have changed between the queries: query again before reporting a mismatch.
            self.book()
            positions, trades = self._held()
            mismatch = _mismatch(positions, trades)
        self._judge(mismatch, is_startup=is_startup)
        unsettled = {intent.client_order_id: intent for intent in self._bot.store.unsettled_intents()}
        self._report_foreign(orders)
        self._told &= {*orders, *unsettled}
        return Account(positions=positions, trades=trades, orders=orders, unsettled=unsettled, mismatch=mismatch)

    def book(self) -> list[Trade]:
        """Query and book the fills and funding payments that are not booked yet; return the trades that changed, open and closed.

        Queries start 10 minutes of market time before the newest booked item; once per candle, that of funding starts 7 days before it.
        """
        exchange, close = self._bot.exchange, self._bot.shared.newest_close(self._bot.shared.clock.now())
        is_thorough = self._late_funding_asked is None or close > self._late_funding_asked
        funding_since = self._funding.since if is_thorough else self._funding.newest - _OVERLAP
        fills = [fill for fill in exchange.fetch_fills(since=self._fills.since) if fill.exchange_trade_id not in self._fills]
        funding = [paid for paid in exchange.fetch_funding(since=funding_since) if paid.payment_id not in self._funding]
        changed = self._book(fills, funding) if fills or funding else []
        self._fills.add({fill.exchange_trade_id: fill.filled_at for fill in fills})
        self._funding.add({payment.payment_id: payment.paid_at for payment in funding})
        if is_thorough:
            self._late_funding_asked = close
        return changed

    def take_closed(self) -> list[Trade]:
        """Return the closed trades that were booked or changed since the last call; the next call does not return them again."""
        closed, self._closed = self._closed, []
        return closed

    def save_bookmarks(self) -> None:
        """Store the times of the newest booked fill and payment; a restarted process queries again from some time before them."""
        wanted = (self._fills.newest, self._funding.newest)
        for name, at, saved in zip((FILLS_SEEN, FUNDING_SEEN), wanted, self._saved, strict=True):
            if at != saved:
                self._bot.store.set_bookmark(name, at)
        self._saved = wanted

    def _settle(self, orders: Mapping[str, OrderStatus]) -> None:
        for intent in self._bot.store.unsettled_intents():
            if intent.state is IntentState.PLANNED:
                # SENT is journalled before the request is sent: an intent that is still PLANNED was never sent.
                self._submitter.bury(intent, reason="never sent: the process ended before the request was sent")
            elif intent.state is IntentState.SENT or intent.client_order_id not in orders:
                self._settle_sent(intent)

    def _settle_sent(self, intent: Intent) -> None:
        status = self._bot.exchange.fetch_order(pair=intent.pair, client_order_id=intent.client_order_id)
        if status is None:
            self._settle_unknown(intent)
            return
        state = state_of(status)
        if state is not intent.state:
            self._bot.store.move_intent(intent.client_order_id, state=state, exchange_order_id=status.exchange_order_id)
            log.info("order_settled", bot=intent.bot, client_order_id=intent.client_order_id, leg=intent.leg.value, state=state.value)

    def _settle_unknown(self, intent: Intent) -> None:
        wall = self._bot.shared.clock.wall_now()
        if intent.state is IntentState.ACKED:
            # The exchange has acknowledged the order: if it does not find it now, one of its replicas lags; the order exists.
            self._tell_once("acknowledged_order_not_found", intent.client_order_id)
            return
        sent_at = intent.sent_at or wall
        if wall > sent_at + timedelta(milliseconds=intent.recv_window_ms) + _READ_LAG:
            self._submitter.bury(intent, reason="not found after its receive window: the exchange cannot accept it any more")

    def _held(self) -> tuple[dict[str, Position], dict[str, Trade]]:
        positions = {position.pair: position for position in self._bot.exchange.fetch_positions()}
        return positions, {trade.pair: trade for trade in self._bot.store.open_trades()}

    def _book(self, fills: list[Fill], funding: list[FundingPayment]) -> list[Trade]:
        own = [fill for fill in fills if fill.client_order_id.startswith(OWN_PREFIX)]
        changed = self._book_or_latch(own, funding)
        for fill in fills:
            if fill.client_order_id.startswith(AUTOCLOSE_PREFIX):
                changed += self._book_liquidation(fill)
            elif fill not in own:
                changed += self._book_or_latch([fill], [])
        closed = [trade for trade in changed if not trade.is_open]
        self._closed += closed
        for trade in closed:
            # A funding payment closes no trade: without fills, the trade had closed before and its payment is booked late.
            log.info("trade_closed" if fills else "closed_trade_corrected", **_outcome(trade))
        return changed

    def _book_or_latch(self, fills: list[Fill], funding: list[FundingPayment]) -> list[Trade]:
        if not fills and not funding:
            return []
        try:
            return self._bot.store.book(fills, funding)
        except (StoreBusyError, StoreFullError):
            raise
        except StoreError as error:
            # Fills with an intent are booked; the others are stored separately, because their origin is unknown.
            self._state.latch(TradingState.REDUCING, f"fills without a matching intent: {error}")
            return []

    def _book_liquidation(self, fill: Fill) -> list[Trade]:
        """Latch HALTED, and book a fill by which the exchange liquidated a position as an exit with the reason `liquidation`.

        If the pair has no open trade and the fill is not booked yet, it is stored as a fill without a matching intent.
        """
        store = self._bot.store
        self._state.latch(TradingState.HALTED, f"{fill.pair} was liquidated at {fill.filled_at.isoformat()}")
        trade = next((trade for trade in store.open_trades() if trade.pair == fill.pair), None)
        if trade is None:
            known = (t for t in store.closed_trades(closed_since=fill.filled_at) if t.pair == fill.pair and t.close_date == fill.filled_at)
            return [] if any(t.exit_reason == ExitReason.LIQUIDATION.value for t in known) else self._book_or_latch([fill], [])
        intent = closing_intent(
            self._bot,
            trade,
            IntentLeg.EXIT,
            amount=fill.amount,
            candle_close_time=fill.filled_at,
            reason=ExitReason.LIQUIDATION.value,
        )
        store.plan_intent(intent)
        store.move_intent(intent.client_order_id, state=IntentState.DONE, exchange_order_id=fill.client_order_id)
        return self._book_or_latch([replace(fill, client_order_id=intent.client_order_id)], [])

    def _judge(self, mismatch: str | None, *, is_startup: bool) -> None:
        wall = self._bot.shared.clock.wall_now()
        if mismatch is None:
            self._mismatched_since = None
            return
        if self._mismatched_since is None:
            log.warning("account_mismatched", bot=self._bot.name, mismatch=mismatch)
        # A wall clock that was set back restarts the waiting time.
        self._mismatched_since = min(self._mismatched_since or wall, wall)
        if is_startup or wall - self._mismatched_since >= _PATIENCE:
            self._state.latch(TradingState.REDUCING, f"the journal differs from the exchange: {mismatch}")

    def _report_foreign(self, orders: Mapping[str, OrderStatus]) -> None:
        for order_id in orders:
            if not order_id.startswith(OWN_PREFIX):
                self._tell_once("foreign_order_found", order_id)

    def _tell_once(self, event: str, client_order_id: str) -> None:
        if client_order_id not in self._told:
            self._told.add(client_order_id)
            log.warning(event, bot=self._bot.name, client_order_id=client_order_id)


def _mismatch(positions: Mapping[str, Position], trades: Mapping[str, Trade]) -> str | None:
    """Return a text with the pairs whose position and open trade differ in signed amount; None if all agree."""
    differ = []
    for pair in sorted({*positions, *trades}):
        held, booked = _signed(positions.get(pair)), _booked(trades.get(pair))
        if abs(held - booked) > _SAME * max(abs(held), abs(booked)):
            differ.append(f"{pair}: {booked:g} in the journal, {held:g} on the exchange")
    return "; ".join(differ) or None


def _signed(position: Position | None) -> float:
    if position is None:
        return 0.0
    return float(-position.amount if position.is_short else position.amount)


def _booked(trade: Trade | None) -> float:
    if trade is None:
        return 0.0
    return -trade.amount if trade.is_short else trade.amount


def _outcome(trade: Trade) -> dict[str, str | int | float | None]:
    return {
        "bot": trade.bot,
        "pair": trade.pair,
        "trade_id": trade.trade_id,
        "exit_reason": trade.exit_reason,
        "close_profit": trade.close_profit,
        "close_date": None if trade.close_date is None else trade.close_date.isoformat(),
    }
