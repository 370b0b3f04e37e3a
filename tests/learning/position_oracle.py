"""Reference implementation of positions with several orders, candle by candle and order by order, for `order_replay`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.order_replay import PositionOrder, PositionPath
from bot3.learning.replay.replay import ReplayCosts


@dataclass(frozen=True, kw_only=True)
class OraclePosition:
    """Outcome of one position: net relative to the value of its entries, candle of the exit, and number of orders before it."""

    net: float
    ended_at: int
    orders_done: int


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One position on float32 candles; every result is computed from the list of orders, without running state."""

    candles: CandleArrays
    path: PositionPath
    stop_move: float
    target_move: float
    costs: ReplayCosts

    @property
    def side(self) -> float:
        return -1.0 if self.path.is_short else 1.0

    def before(self, i: int) -> Sequence[PositionOrder]:
        """Return the orders that changed the position before a candle."""
        return [order for order in self.path.orders if order.candle < i]

    def held(self, orders: Sequence[PositionOrder]) -> float:
        return sum(order.amount if order.is_entry else -order.amount for order in orders)

    def average(self, orders: Sequence[PositionOrder]) -> float:
        """Return freqtrade's open_rate: stake / amount of the open position, exits subtracted at the average."""
        stake = amount = average = 0.0
        for order in orders:
            sign = 1.0 if order.is_entry else -1.0
            stake += sign * order.amount * (order.rate if order.is_entry else average)
            amount += sign * order.amount
            average = stake / amount if order.is_entry else average
        return average

    def stop(self, orders: Sequence[PositionOrder]) -> float:
        """Return the tightest of the stops that each entry would have placed, or the liquidation if that is nearer."""
        placed = [
            self.average(orders[: place + 1]) * (1.0 - self.side * self.stop_move) for place, order in enumerate(orders) if order.is_entry
        ]
        tightest = max(placed) if self.side > 0.0 else min(placed)
        nearer = max if self.side > 0.0 else min
        return float(np.float32(nearer(tightest, self.liquidation(orders))))

    def liquidation(self, orders: Sequence[PositionOrder]) -> float:
        maintenance = self.costs.maintenance_margin_ratio
        room = (1.0 / self.path.leverage - maintenance) / (1.0 - self.side * maintenance)
        return float(np.float32(self.average(orders) * (1.0 - self.side * room)))

    def target(self, orders: Sequence[PositionOrder]) -> float:
        return float(np.float32(self.average(orders) * (1.0 + self.side * self.target_move)))

    def price(self, name: str, i: int) -> float:
        return float(np.float32(getattr(self.candles, name)[i]))

    def funding(self, first: int, last: int) -> float:
        """Return the funding received at the opens of some candles, on the amount open at each."""
        rates = np.diff(self.candles.funding_sum, prepend=self.candles.funding_sum[0])
        return sum(-self.side * float(rates[i] * self.candles.open[i]) * self.held(self.before(i)) for i in range(first, last + 1))

    def entered(self, orders: Sequence[PositionOrder]) -> float:
        return sum(order.amount * order.rate * (1.0 + self.side * self.costs.taker_fee) for order in orders if order.is_entry)

    def realised(self, orders: Sequence[PositionOrder]) -> float:
        """Return the profit of the exits among some orders, funding up to the last of them included."""
        earned, until = 0.0, self.path.entry
        for place, order in enumerate(orders):
            if order.is_entry:
                continue
            paid = self.average(orders[:place]) * (1.0 + self.side * self.costs.taker_fee)
            got = order.rate * (1.0 - self.side * self.costs.taker_fee)
            earned += self.side * order.amount * (got - paid)
            until = order.candle
        return earned + self.funding(self.path.entry + 1, until)

    def left_at(self, rate: float, i: int, *, fee: float, slippage: float) -> float:
        orders = self.before(i)
        paid = self.average(orders) * (1.0 + self.side * self.costs.taker_fee)
        got = rate * (1.0 - self.side * slippage) * (1.0 - self.side * fee)
        exits = [order.candle for order in orders if not order.is_entry]
        funding = self.funding((exits[-1] if exits else self.path.entry) + 1, i)
        return (self.realised(orders) + funding + self.side * self.held(orders) * (got - paid)) / self.entered(orders)

    def all_lost(self, i: int) -> float:
        """Return the loss of margin and entry fee of the open position, after the realised profit."""
        orders = self.before(i)
        average, lev = self.average(orders), self.path.leverage
        opened = average * (1.0 + self.side * self.costs.taker_fee)
        lost = self.side * self.held(orders) * (average * (1.0 - self.side / lev) - opened)
        return (self.realised(orders) + lost) / self.entered(orders)

    def stopped(self, rate: float, i: int) -> float:
        if self.side * rate <= self.side * self.liquidation(self.before(i)):
            return self.all_lost(i)
        slippage = self.costs.slippage + self.costs.stop_slippage
        return max(self.left_at(rate, i, fee=self.costs.taker_fee, slippage=slippage), self.all_lost(i))

    def reached(self, rate: float, i: int, *, is_maker: bool) -> float:
        fee, slippage = (self.costs.maker_fee, 0.0) if is_maker else (self.costs.taker_fee, self.costs.slippage)
        return self.left_at(rate, i, fee=fee, slippage=slippage)

    def candle(self, i: int) -> float | None:
        """Return the outcome of an exit in a candle, or None if the position stays open."""
        orders, side = self.before(i), self.side
        stop, target, opened = self.stop(orders), self.target(orders), self.price("open", i)
        worst, best = (self.price(name, i) for name in (("low", "high") if side > 0.0 else ("high", "low")))
        if side * opened <= side * stop:
            return self.stopped(opened, i)
        if side * opened >= side * target:
            return self.reached(opened, i, is_maker=False)
        if side * worst <= side * stop:
            return self.stopped(stop, i)
        if side * best >= side * target:
            return self.reached(target, i, is_maker=self.costs.target_rests and side * best > side * target)
        return None


def oracle_position(
    candles: CandleArrays, path: PositionPath, *, stop_move: float, target_move: float, costs: ReplayCosts
) -> OraclePosition:
    """Return the outcome of a position under a stop and a target (distances from the average rate, moves of the price)."""
    walk = Walk(candles=candles, path=path, stop_move=stop_move, target_move=target_move, costs=costs)
    for i in range(path.entry + 1, path.end):
        net = walk.candle(i)
        if net is not None:
            return OraclePosition(net=net, ended_at=i, orders_done=len(walk.before(i)))
    # A position still open at the end of the last candle exits at its close; an order in that candle is executed first.
    last = path.end - 1
    closed = Walk(candles=candles, path=path, stop_move=stop_move, target_move=target_move, costs=costs)
    orders = closed.before(path.end)
    paid = closed.average(orders) * (1.0 + closed.side * costs.taker_fee)
    got = closed.price("close", last) * (1.0 - closed.side * costs.slippage) * (1.0 - closed.side * costs.taker_fee)
    exits = [order.candle for order in orders if not order.is_entry]
    funding = closed.funding((exits[-1] if exits else path.entry) + 1, last)
    net = (closed.realised(orders) + funding + closed.side * closed.held(orders) * (got - paid)) / closed.entered(orders)
    return OraclePosition(net=net, ended_at=last, orders_done=len(orders))
