"""Invariants between a bot's stored orders and trades and its account on the exchange, after a kill of the daemon."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot3.market.instants import EPOCH
from bot3.ports.exchange import Exchange
from bot3.ports.trades import BotStore
from bot3.trading.orders import Intent, IntentLeg, IntentState, OrderStatus, OrderType
from bot3.trading.risk import TradingState
from bot3.trading.trades import Trade
from bot3.wiring import Platform

_CENT_ABS = 1e-6
_SAME_AMOUNT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violated invariant of a bot ("all": of the daemon): its name (`promise`) and what was found (`text`).

    With `may_pass` the next tick of a daemon may correct it.
    """

    bot: str
    promise: str
    text: str
    may_pass: bool = False


class AccountAudit:
    """Comparison of one bot's store with its account. Trades that were closed at a check without findings are not checked again."""

    def __init__(self, store: BotStore, exchange: Exchange, platform: Platform) -> None:
        self._store, self._exchange, self._platform = store, exchange, platform
        self._first_id = 1
        self._settled: set[int] = set()
        self._known_ids: set[str] = set()
        self._fills_since: datetime = EPOCH
        self.entries = 0

    def findings(self) -> list[Finding]:
        """Return the violated invariants; empty if all hold."""
        next_id = self._store.next_trade_id()
        intents = [i for n in range(self._first_id, next_id) if n not in self._settled for i in self._store.intents_of_trade(n)]
        self._known_ids |= {intent.client_order_id for intent in intents}
        ordered = {i.client_order_id: o for i in intents if (o := self._ordered(i)) is not None}
        resting = self._exchange.fetch_open_orders()
        open_trades = self._store.open_trades()
        self.entries = max(self.entries, next_id - 1)
        found = [
            *self._once(intents, ordered),
            *self._same(intents, ordered),
            *self._known(resting),
            *self._held(open_trades),
            *self._protected(resting, open_trades),
            *self._wallet(open_trades),
            *self._state(),
        ]
        if not found:
            self._settled |= set(range(self._first_id, next_id)) - {trade.trade_id for trade in open_trades}
        return found

    def _ordered(self, intent: Intent) -> OrderStatus | None:
        return self._exchange.fetch_order(pair=intent.pair, client_order_id=intent.client_order_id)

    def _finding(self, promise: str, text: str, *, may_pass: bool = False) -> Finding:
        return Finding(bot=self._store.bot, promise=promise, text=text, may_pass=may_pass)

    def _once(self, intents: list[Intent], ordered: dict[str, OrderStatus]) -> list[Finding]:
        """Check that each pair and candle was entered once at most, and each trade has one open order at most for each purpose.

        No trade may have closed more than it entered.
        """
        entries = Counter((i.pair, i.candle_close_time) for i in intents if i.leg is IntentLeg.ENTRY and i.client_order_id in ordered)
        twice = [f"{pair} at {at.isoformat()} was entered {count} times" for (pair, at), count in entries.items() if count > 1]
        resting = Counter((i.trade_id, i.leg) for i in intents if (o := ordered.get(i.client_order_id)) and o.status == "open")
        twice += [f"{count} orders are open as {leg} of trade {trade_id}" for (trade_id, leg), count in resting.items() if count > 1]
        for trade_id in {intent.trade_id for intent in intents}:
            filled = {leg: _filled(intents, ordered, trade_id=trade_id, is_entry=leg) for leg in (True, False)}
            if filled[False] > filled[True]:
                twice.append(f"trade {trade_id} entered {filled[True]} and closed {filled[False]}")
        return [self._finding("at most one order an intent", text) for text in twice]

    def _same(self, intents: list[Intent], ordered: dict[str, OrderStatus]) -> list[Finding]:
        """Check that the stored state of each order matches the exchange's."""
        expected = {
            "open": IntentState.ACKED,
            "closed": IntentState.DONE,
            "canceled": IntentState.CANCELED,
            "expired": IntentState.CANCELED,
        }
        found = []
        for intent in intents:
            order = ordered.get(intent.client_order_id)
            if order is None and intent.state in {IntentState.DEAD, IntentState.REJECTED}:
                continue
            if order is None or expected[order.status] is not intent.state:
                text = f"{intent.leg} {intent.client_order_id} is {intent.state}, on the exchange {None if order is None else order.status}"
                found.append(self._finding("journal = exchange", text, may_pass=intent.state in {IntentState.SENT, IntentState.ACKED}))
        return found

    def _known(self, resting: list[OrderStatus]) -> list[Finding]:
        fills = self._exchange.fetch_fills(since=self._fills_since)
        self._fills_since = max([self._fills_since, *(fill.filled_at for fill in fills)])
        named = {order.client_order_id for order in resting} | {fill.client_order_id for fill in fills}
        return [self._finding("every order has an intent", name) for name in sorted(named - self._known_ids)]

    def _held(self, open_trades: list[Trade]) -> list[Finding]:
        held = {p.pair: float(-p.amount if p.is_short else p.amount) for p in self._exchange.fetch_positions()}
        booked = {t.pair: -t.amount if t.is_short else t.amount for t in open_trades}
        differ = [p for p in {*held, *booked} if abs(held.get(p, 0.0) - booked.get(p, 0.0)) > _SAME_AMOUNT * abs(held.get(p, 1.0))]
        texts = [f"{pair}: {booked.get(pair, 0.0)} booked, {held.get(pair, 0.0)} on the exchange" for pair in sorted(differ)]
        return [self._finding("trades = positions", text, may_pass=True) for text in texts]

    def _protected(self, resting: list[OrderStatus], open_trades: list[Trade]) -> list[Finding]:
        stops: Counter[str] = Counter()
        for order in resting:
            if order.order_type is OrderType.STOP_MARKET:
                stops[order.pair] += float(order.amount)  # type: ignore[assignment]  # a Counter can sum floats too
        bare = [trade for trade in open_trades if abs(stops[trade.pair] - trade.amount) > _SAME_AMOUNT * trade.amount]
        texts = [f"{trade.pair}: {trade.amount} open, {stops[trade.pair]} covered by stops" for trade in bare]
        return [self._finding("every position has a stop", text, may_pass=True) for text in texts]

    def _wallet(self, open_trades: list[Trade]) -> list[Finding]:
        earned = sum(trade.close_profit_abs or 0.0 for trade in self._store.closed_trades(closed_since=None))
        paid = sum(trade.funding_fees - trade.amount * trade.open_rate * trade.fee_open for trade in open_trades)
        booked = self._platform.settings.wallet_abs + earned + paid
        wallet = float(self._exchange.fetch_balance().wallet_abs)
        if abs(booked - wallet) <= _CENT_ABS:
            return []
        return [self._finding("profits = wallet", f"{booked:.9f} booked, {wallet:.9f} in the wallet", may_pass=True)]

    def _state(self) -> list[Finding]:
        state, reason = self._platform.control.trading_state(self._store.bot)
        return [] if state is TradingState.ACTIVE else [self._finding("nothing is unexplained", f"{state}: {reason}")]


def _filled(intents: list[Intent], ordered: dict[str, OrderStatus], *, trade_id: int, is_entry: bool) -> Decimal:
    amounts = (
        ordered[intent.client_order_id].filled
        for intent in intents
        if intent.trade_id == trade_id and intent.client_order_id in ordered and (intent.leg is IntentLeg.ENTRY) is is_entry
    )
    return sum(amounts, Decimal(0))
