"""Fill orders of the simulated exchange: market orders at once, stops and targets candle by candle; liquidate positions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from bot3.adapters.paper.state import Held, PaperState
from bot3.errors import CandleError, ExchangeBusyError
from bot3.market.instants import instant_of, instant_us
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.trading.costs import Costs
from bot3.trading.exit_law import HELD, LIQUIDATED, NO_RULE, STOPPED, exit_event, slipped
from bot3.trading.markets import Market
from bot3.trading.matching import margin_rates
from bot3.trading.orders import Fill, OrderSide, OrderStatus, OrderType
from bot3.trading.units import side

_MONEY = Decimal("1e-12")
_NO_STATE = (1.0, 1.0, False)
"""State argument of `exit_event` with which no exit rule of the bot takes effect: the exchange does not know those rules."""


class PaperFills:
    """Stores fills, and the positions and wallet changed by them, in the caller's transaction."""

    def __init__(
        self,
        state: PaperState,
        *,
        exchange: str,
        account: str,
        candles: CandleReader,
        costs: Costs,
        timeframe: str,
        market: Callable[[str], Market],
    ) -> None:
        self._state, self._exchange, self._account, self._candles, self._costs = state, exchange, account, candles, costs
        self._timeframe, self._market = timeframe, market
        self._candle_us = timeframe_duration(timeframe) // timedelta(microseconds=1)

    def book(
        self, client_order_id: str, *, pair: str, side: OrderSide, rate: float, amount: Decimal, at: datetime, fee: float | None = None
    ) -> Fill:
        """Fill an order: store the execution, deduct its fee from the wallet, and set the order's status to closed.

        The rate represents the mean of many executions and need not be a multiple of the tick. `fee` is a ratio of the value, by default
        the taker fee.
        """
        order = self._state.order(client_order_id)
        filled = (order.filled if order is not None else Decimal(0)) + amount
        fill_rate = Decimal(f"{rate:.12g}")
        fee_abs = (fill_rate * amount * Decimal(str(self._costs.taker_fee if fee is None else fee))).quantize(_MONEY)
        fill = Fill(
            exchange=self._exchange,
            account=self._account,
            exchange_trade_id=f"{client_order_id}.1",
            client_order_id=client_order_id,
            pair=pair,
            side=side,
            rate=fill_rate,
            amount=amount,
            fee_abs=fee_abs,
            is_maker=False,
            filled_at=at,
        )
        self._state.add_fill(fill)
        self._state.credit(-fee_abs)
        self._state.settle_order(client_order_id, status="closed", filled=filled, average_rate=fill_rate)
        return fill

    def reduce(self, held: Held, *, client_order_id: str, rate: float, amount: Decimal, at: datetime, fee: float | None = None) -> Held:
        """Fill an order that closes part or all of a position; return the rest of the position, whose amount may be 0."""
        order_side = OrderSide.BUY if held.is_short else OrderSide.SELL
        fill = self.book(client_order_id, pair=held.pair, side=order_side, rate=rate, amount=amount, at=at, fee=fee)
        move = fill.rate - held.open_rate
        self._state.credit((fill.amount * (-move if held.is_short else move)).quantize(_MONEY))
        left = replace(held, amount=held.amount - fill.amount)
        self._state.put_position(left)
        return left

    def margin_rates(self, held: Held) -> tuple[float, float]:
        """Return the rate that liquidates a position (0 if none does) and the rate at which it is then closed."""
        bracket = self._market(held.pair).bracket(float(held.value_abs))
        return margin_rates(
            open_rate=float(held.open_rate),
            is_short=held.is_short,
            leverage=held.leverage,
            maintenance_margin_ratio=bracket.maintenance_margin_ratio,
        )

    def catch_up(self, held: Held, *, opened_at: datetime) -> None:
        """Match a position's orders against the closed candles that were not compared yet.

        `opened_at` is the open time of the candle in progress.

        Raises
        ------
        ExchangeBusyError
            If the candles cannot be read; the state is unchanged.
        """
        try:
            frame = self._candles.candles(held.pair, self._timeframe, start=instant_of(held.matched_us), end=opened_at)
        except CandleError as error:
            raise ExchangeBusyError(f"{held.pair}: the market cannot be read: {error}") from error
        opens_us = frame["open_time"].to_numpy(dtype="datetime64[us]").astype(np.int64).tolist()
        rows = frame[["open", "high", "low", "close"]].to_numpy(dtype=np.float64).tolist()
        for open_us, (opened, high, low, close) in zip(opens_us, rows, strict=True):
            held = self._match(held, (opened, high, low, close), closed_us=open_us + self._candle_us)
            if held.amount == 0:
                return
            held = replace(held, matched_us=open_us + self._candle_us)
        self._state.put_position(held)

    def _match(self, held: Held, candle: tuple[float, float, float, float], *, closed_us: int) -> Held:
        """Fill the orders that one candle touches; several orders may fill, each for its own amount."""
        sign = side(is_short=held.is_short)
        slippages = (self._costs.slippage, self._costs.stop_slippage)
        while held.amount > 0:
            stop, target = self._nearest(held, OrderType.STOP_MARKET), self._nearest(held, OrderType.TAKE_PROFIT_MARKET)
            levels = (_trigger(stop), _trigger(target), *self.margin_rates(held))
            code, fill = exit_event(sign, candle, levels, _NO_STATE, NO_RULE)
            if code == HELD:
                return held
            rate = slipped(sign, code, fill, slippages)
            if code == LIQUIDATED:
                return self._liquidate(held, rate=rate, at=instant_of(closed_us))
            order = stop if code == STOPPED else target
            if order is None:  # not reachable: without an order exit_event compares with NaN
                return held
            amount = min(order.amount, held.amount)
            held = self.reduce(held, client_order_id=order.client_order_id, rate=rate, amount=amount, at=instant_of(closed_us))
        return held

    def _nearest(self, held: Held, order_type: OrderType) -> OrderStatus | None:
        """Return the open order of a type that the price reaches first: a long's highest stop or lowest target; None if there is none."""
        closing = OrderSide.BUY if held.is_short else OrderSide.SELL
        orders = [o for o in self._state.open_orders(held.pair) if o.order_type is order_type and o.side is closing]
        if not orders:
            return None
        takes_highest = (order_type is OrderType.STOP_MARKET) is not held.is_short
        return (max if takes_highest else min)(orders, key=lambda order: order.trigger_rate or Decimal(0))

    def _liquidate(self, held: Held, *, rate: float, at: datetime) -> Held:
        key = f"{self._account}|{held.pair}|{held.opened_us}|{at.isoformat()}"
        client_order_id = f"autoclose-{hashlib.blake2s(key.encode(), digest_size=9).hexdigest()}"
        order = OrderStatus(
            client_order_id=client_order_id,
            exchange_order_id="",
            pair=held.pair,
            side=OrderSide.BUY if held.is_short else OrderSide.SELL,
            order_type=OrderType.MARKET,
            status="open",
            amount=held.amount,
            filled=Decimal(0),
        )
        self._state.add_order(order, created_us=instant_us(at))
        return self.reduce(held, client_order_id=client_order_id, rate=rate, amount=held.amount, at=at, fee=0.0)


def _trigger(order: OrderStatus | None) -> float:
    return math.nan if order is None or order.trigger_rate is None else float(order.trigger_rate)
