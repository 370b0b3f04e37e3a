"""Simulate an exchange account: an exchange's rules for orders, and fills on candles by the same rules as in a backtest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from bot3.adapters.paper.checks import require_amount, require_margin, require_reducing, require_resting
from bot3.adapters.paper.fills import PaperFills
from bot3.adapters.paper.funding import PaperFunding
from bot3.adapters.paper.state import Held, PaperState
from bot3.errors import CandleError, ExchangeBusyError, OrderRejectedError
from bot3.market.instants import instant_us
from bot3.market.timeframes import candle_open_time
from bot3.ports.candles import CandleReader, MarketReader
from bot3.ports.clock import Clock
from bot3.trading.costs import Costs
from bot3.trading.markets import Market
from bot3.trading.orders import Balance, Fill, FundingPayment, Intent, OrderSide, OrderStatus, OrderType, Position


class PaperExchange:
    """An `Exchange` on candles.

    Every call first matches the open stop and target orders against the candles closed since the last call, and pays the funding due.

    A market order fills at once, with slippage and taker fee, at the open of the candle in progress (at the last close if that candle is
    missing). Stop and target orders only reduce a position. They fill if a closed candle touched them, at the time of that candle's close,
    because the touch is not known earlier. The whole candle is compared, also its part before an entry or before an order was made. Orders
    of a closed position stay open until they are canceled; at the next entry on the pair they get the status expired, so that they cannot
    close a position for which they were not made. A liquidated position loses its stake; the client order id of that fill begins with
    "autoclose-".

    Parameters
    ----------
    path : Path
        The account's own SQLite file; its directory must exist. Everything that a call has returned is stored in it durably.
    wallet_abs : float
        Initial wallet of a new account, in stake currency; an existing account's wallet is not changed.
    """

    def __init__(
        self,
        path: Path,
        *,
        account: str,
        wallet_abs: float,
        candles: CandleReader,
        markets: MarketReader,
        clock: Clock,
        costs: Costs,
        timeframe: str = "5m",
        busy_timeout_s: float = 5.0,
    ) -> None:
        self._account, self._candles, self._markets, self._clock, self._costs = account, candles, markets, clock, costs
        self._timeframe = timeframe
        self._state = PaperState(path, exchange=self.name, account=account, wallet_abs=wallet_abs, busy_timeout_s=busy_timeout_s)
        self._fills = PaperFills(
            self._state, exchange=self.name, account=account, candles=candles, costs=costs, timeframe=timeframe, market=self._market
        )
        self._funding = PaperFunding(self._state, exchange=self.name, account=account, candles=candles, timeframe=timeframe)
        self._advanced_to: datetime | None = None

    @property
    def name(self) -> str:
        """Return "paper"."""
        return "paper"

    @property
    def account(self) -> str:
        """Return the account's name."""
        return self._account

    def close(self) -> None:
        """Close the state file."""
        self._state.close()

    def create_order(self, intent: Intent) -> OrderStatus:
        """Send an order; a repeated client order id returns the existing order.

        Raises
        ------
        OrderRejectedError
            If a filter, the margin or the position does not allow it; the message names which, with the numbers.
        ExchangeBusyError
            If no rate is available now; no order was created.
        """
        now = self._advance()
        known = self._state.order(intent.client_order_id)
        if known is not None:
            return known
        if intent.account != self._account:
            raise OrderRejectedError(f"the order is for account {intent.account}, but this account is {self._account}")
        market = self._market(intent.pair)
        rate = self._rate(intent.pair, now)
        require_amount(intent, market=market)
        with self._state.writing():
            if intent.order_type is not OrderType.MARKET:
                self._rest(intent, rate=rate, now=now)
            elif intent.reduce_only:
                self._reduce(intent, rate=rate, now=now)
            else:
                self._enter(intent, market=market, rate=rate, now=now)
        return self._known(intent.client_order_id)

    def cancel_order(self, *, pair: str, client_order_id: str) -> OrderStatus:
        """Cancel an order; an order that is closed already is returned unchanged. Raises OrderRejectedError if it is unknown."""
        self._advance()
        order = self._state.order(client_order_id)
        if order is None or order.pair != pair:
            raise OrderRejectedError(f"{pair}: order {client_order_id} is unknown")
        if order.status != "open":
            return order
        with self._state.writing():
            self._state.settle_order(client_order_id, status="canceled", filled=order.filled, average_rate=order.average_rate)
        return self._known(client_order_id)

    def fetch_order(self, *, pair: str, client_order_id: str) -> OrderStatus | None:
        """Return an order; None if it is unknown."""
        self._advance()
        order = self._state.order(client_order_id)
        return order if order is not None and order.pair == pair else None

    def fetch_open_orders(self) -> list[OrderStatus]:
        """Return all open orders, oldest first."""
        self._advance()
        return self._state.open_orders()

    def fetch_positions(self) -> list[Position]:
        """Return the open positions."""
        self._advance()
        return [self._position(held) for held in self._state.positions()]

    def fetch_fills(self, *, since: datetime) -> list[Fill]:
        """Return executions at or after a market time, oldest first."""
        self._advance()
        return self._state.fills(since=since)

    def fetch_funding(self, *, since: datetime) -> list[FundingPayment]:
        """Return funding payments at or after a market time, oldest first."""
        self._advance()
        return self._state.payments(since=since)

    def fetch_balance(self) -> Balance:
        """Return the balance; its equity includes the open profit at the current rates, before the costs of an exit.

        Raises ExchangeBusyError if there is no current rate of a position's pair.
        """
        now = self._advance()
        wallet, held = self._state.wallet(), self._state.positions()
        profit = sum((self._open_profit(position, now) for position in held), Decimal(0))
        margin = sum((position.stake_abs for position in held), Decimal(0))
        return Balance(equity_abs=wallet + profit, wallet_abs=wallet, free_abs=wallet - margin, at=now)

    def fetch_rate(self, pair: str) -> Decimal:
        """Return the rate at which a market order would fill now, without slippage. Raises ExchangeBusyError if there is none."""
        now = self._advance()
        self._market(pair)
        return Decimal(str(self._rate(pair, now)))

    def _advance(self) -> datetime:
        """Match open orders against the candles closed since the last call, pay the funding that is due, and return the market's time."""
        now = self._clock.now()
        opened_at = candle_open_time(now, self._timeframe)
        if self._advanced_to is None or opened_at > self._advanced_to:
            held, due = self._state.positions(), self._funding.due(opened_at=opened_at)
            if held or due:
                with self._state.writing():
                    for position in held:
                        self._fills.catch_up(position, opened_at=opened_at)
                    # After the candles: then the closed positions are known, and the position on which each payment is due.
                    settled = [funding for funding in due if self._funding.pay(funding, opened_at=opened_at)]
                self._funding.settled(settled)
            self._advanced_to = opened_at
        return now

    def _enter(self, intent: Intent, *, market: Market, rate: float, now: datetime) -> None:
        held = self._state.position(intent.pair)
        require_margin(intent, market=market, rate=rate, held=held, free_abs=self._free(), taker_fee=self._costs.taker_fee)
        if held is None:
            self._state.expire_orders(intent.pair)
        is_short = intent.side is OrderSide.SELL
        fill_rate = self._costs.entry_rate(rate, is_short=is_short)
        self._add(intent, now=now)
        fill = self._fills.book(intent.client_order_id, pair=intent.pair, side=intent.side, rate=fill_rate, amount=intent.amount, at=now)
        opened_us = instant_us(candle_open_time(now, self._timeframe))
        before = held or Held(
            pair=intent.pair,
            is_short=is_short,
            amount=Decimal(0),
            open_rate=fill.rate,
            leverage=intent.leverage,
            opened_us=opened_us,
            matched_us=opened_us,
        )
        amount = before.amount + fill.amount
        self._state.put_position(replace(before, amount=amount, open_rate=(before.value_abs + fill.amount * fill.rate) / amount))

    def _reduce(self, intent: Intent, *, rate: float, now: datetime) -> None:
        held = require_reducing(intent, held=self._state.position(intent.pair))
        self._add(intent, now=now)
        amount, exit_rate = min(intent.amount, held.amount), self._costs.exit_rate(rate, is_short=held.is_short)
        self._fills.reduce(held, client_order_id=intent.client_order_id, rate=exit_rate, amount=amount, at=now)

    def _rest(self, intent: Intent, *, rate: float, now: datetime) -> None:
        held = require_reducing(intent, held=self._state.position(intent.pair))
        require_resting(intent, rate=rate, is_short=held.is_short)
        self._add(intent, now=now)

    def _add(self, intent: Intent, *, now: datetime) -> None:
        order = OrderStatus(
            client_order_id=intent.client_order_id,
            exchange_order_id="",
            pair=intent.pair,
            side=intent.side,
            order_type=intent.order_type,
            status="open",
            amount=intent.amount,
            filled=Decimal(0),
            trigger_rate=intent.trigger_rate,
        )
        self._state.add_order(order, created_us=instant_us(now))

    def _known(self, client_order_id: str) -> OrderStatus:
        order = self._state.order(client_order_id)
        if order is None:
            raise OrderRejectedError(f"order {client_order_id} is missing in the paper exchange: another program changed its file")
        return order

    def _free(self) -> Decimal:
        return self._state.wallet() - sum((held.stake_abs for held in self._state.positions()), Decimal(0))

    def _open_profit(self, held: Held, now: datetime) -> Decimal:
        move = Decimal(str(self._rate(held.pair, now))) - held.open_rate
        return held.amount * (-move if held.is_short else move)

    def _position(self, held: Held) -> Position:
        liquidation, _ = self._fills.margin_rates(held)
        return Position(
            pair=held.pair,
            is_short=held.is_short,
            amount=held.amount,
            open_rate=held.open_rate,
            leverage=held.leverage,
            liquidation_rate=Decimal(f"{liquidation:.12g}") if liquidation > 0.0 else None,
        )

    def _market(self, pair: str) -> Market:
        try:
            return self._markets.market(pair)
        except CandleError as error:
            raise OrderRejectedError(f"{pair} has no market on the paper exchange: {error}") from error

    def _rate(self, pair: str, now: datetime) -> float:
        try:
            return self._candles.rate_at(pair, self._timeframe, now)
        except CandleError as error:
            raise ExchangeBusyError(f"{pair} has no rate now: {error}") from error
