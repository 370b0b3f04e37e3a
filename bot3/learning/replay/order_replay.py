"""Replay of trades that were built and reduced by several orders, under one stop and one target each.

The rules are those of `replay`: trades end by the events of `trading.exit_law`, the candle of the first entry is excluded, and moves are
net of slippage, fees and funding. In addition:

- An order changes the position at the end of its candle, so inside that candle the levels from before the order are tested.
- An entry changes the average rate, and with it target and liquidation. The stop is recomputed at its distance from the average, and moves
  only towards the market, never in the other direction (freqtrade's `recalc_trade_from_orders` and `adjust_stop_loss`).
- An exit before the last one realises its part at its own rate; average, stop and target do not change.
- The outcome is the profit of all parts over the value of all entries before the end, fees included (freqtrade's `close_profit` at leverage
  1).
- Orders in the candle of the end or later are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.learning.replay.kernel import CLOSE, LOW, MINUS_HIGH, OPEN
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts
from bot3.trading.exit_law import HELD, LIQUIDATED, REACHED, STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionOrder:
    """A filled order: index of its candle, rate, and amount in base by which it increased (`is_entry`) or reduced the position."""

    candle: int
    is_entry: bool
    rate: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionPath:
    """Orders of a trade and its path through the candles.

    Parameters
    ----------
    orders : sequence of PositionOrder
        Orders by time of their fills, without the exit that closed the trade; the first one is an entry.
    end : int
        Index of the candle after the horizon's last one.
    sigma : float
        Standard deviation of the log price over the horizon, expected at the first entry.

    Raises
    ------
    InvalidTradeError
        If the first order is no entry, the orders are not in chronological order, the amount falls to 0, or a number is invalid.
    """

    orders: Sequence[PositionOrder]
    end: int
    is_short: bool
    leverage: float
    sigma: float

    def __post_init__(self) -> None:
        if not self.orders or not self.orders[0].is_entry:
            raise InvalidTradeError("the first order of a position must be an entry")
        held = 0.0
        for order in self.orders:
            held += order.amount if order.is_entry else -order.amount
            if not (order.rate > 0.0 and order.amount > 0.0 and held > 0.0):
                raise InvalidTradeError(
                    "orders need a rate and an amount above 0, and the open amount must stay above 0 until the last exit"
                )
        candles = [order.candle for order in self.orders]
        if candles != sorted(candles) or candles[0] < 0 or self.end <= candles[0] + 1:
            raise InvalidTradeError("orders must be sorted by time, and at least one candle must follow the first one")
        if not (self.leverage >= 1.0 and np.isfinite(self.sigma) and self.sigma > 0.0):
            raise InvalidTradeError("leverage must be at least 1 and sigma above 0")

    @property
    def entry(self) -> int:
        """Return the index of the first entry's candle."""
        return self.orders[0].candle


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionOutcome:
    """Outcome of a position.

    Parameters
    ----------
    net : float
        Net profit over the value of the entries before the end: a ratio of the price; times leverage it is freqtrade's `close_profit`.
    ended_at : int
        Index of the candle in which the position ended.
    code : int
        Code of the end, one of `exit_law`'s; HELD at the end of the horizon.
    is_ambiguous : bool
        Whether stop and target, or an order, lay inside the candle of the end: their order is assumed, not known.
    orders_done : int
        Number of orders before the end.
    """

    net: float
    ended_at: int
    code: int
    is_ambiguous: bool
    orders_done: int


class _Position:
    """Open position between two orders. Rates of levels are mirrored for shorts (times -1), as in the kernel."""

    def __init__(self, path: PositionPath, *, stop_sigma: float, target_sigma: float, costs: ReplayCosts) -> None:
        self.path, self.costs = path, costs
        self.side = -1.0 if path.is_short else 1.0
        self._stop_sigma, self._target_sigma = stop_sigma, target_sigma
        self.amount = self.average = self.entered = self.realised = self.funding = 0.0
        self._stop = -np.inf

    def fill(self, order: PositionOrder) -> None:
        """Apply an order to the position."""
        if not order.is_entry:
            proceeds = self.side * order.rate * (1.0 - self.side * self.costs.taker_fee)
            # As in freqtrade, an exit realises all funding since the previous exit.
            self.realised += order.amount * (proceeds - self.side * self.opened) + self.funding
            self.funding = 0.0
            self.amount -= order.amount
            return
        total = self.amount + order.amount
        self.average = order.rate if self.amount == 0.0 else (self.amount * self.average + order.amount * order.rate) / total
        self.amount = total
        self.entered += order.amount * order.rate * (1.0 + self.side * self.costs.taker_fee)
        step = self.average * self.path.sigma
        self._stop = max(self._stop, self.side * self.average - step * self._stop_sigma)

    def pay_funding(self, candles: ReplayCandles, *, since: int, until: int) -> None:
        """Pay funding on the open amount for the opens after candle `since` up to that of candle `until`."""
        self.funding -= self.side * self.amount * float(candles.funding[until] - candles.funding[since])

    @property
    def opened(self) -> float:
        """Return the average rate including the fee of the entries."""
        return self.average * (1.0 + self.side * self.costs.taker_fee)

    @property
    def liquidation(self) -> np.float32:
        maintenance = self.costs.maintenance_margin_ratio
        room = self.average * (1.0 / self.path.leverage - maintenance) / (1.0 - self.side * maintenance)
        return np.float32(self.side * self.average - room)

    @property
    def stop(self) -> np.float32:
        return np.float32(max(self._stop, float(self.liquidation)))

    @property
    def minus_target(self) -> np.float32:
        """Return the target mirrored once more, so that touching it is a fall of the mirrored price, as for the stop."""
        return np.float32(-self.side * self.average - self.average * self.path.sigma * self._target_sigma)

    def net(self, fill: float, *, fee: float, slippage: float) -> float:
        """Return the outcome of an exit of the whole position at a mirrored rate."""
        factor = (1.0 - self.side * fee) * (1.0 - self.side * slippage)
        return (self.realised + self.funding + self.amount * (factor * fill - self.side * self.opened)) / self.entered

    @property
    def all_lost(self) -> float:
        """Return the outcome of losing exactly the margin of the open position, whether the price or funding consumed it."""
        lost = self.amount * self.side * (self.average * (1.0 - self.side / self.path.leverage) - self.opened)
        return (self.realised + lost) / self.entered


def replay_position(
    candles: ReplayCandles, path: PositionPath, *, stop_sigma: float, target_sigma: float, costs: ReplayCosts
) -> PositionOutcome:
    """Replay one position under a stop and a target (distances in sigmas from the average rate, above 0).

    Raises
    ------
    InvalidTradeError
        If the path extends beyond the candles, a distance is not above 0, or the margin is not above the maintenance margin.
    """
    _require(candles, path, stop_sigma=stop_sigma, target_sigma=target_sigma, costs=costs)
    position = _Position(path, stop_sigma=stop_sigma, target_sigma=target_sigma, costs=costs)
    at, done = path.entry, 0
    for candle, orders in _by_candle(path):
        touched = _first_touch(candles, position, at + 1, min(candle + 1, path.end))
        if touched is not None:
            return _ended(candles, position, touched, since=at, orders_done=done, has_order=touched.candle == candle)
        if candle >= path.end:
            break
        position.pay_funding(candles, since=at, until=candle)
        for order in orders:
            position.fill(order)
        at, done = candle, done + len(orders)
    touched = _first_touch(candles, position, at + 1, path.end)
    if touched is not None:
        return _ended(candles, position, touched, since=at, orders_done=done, has_order=False)
    last = path.end - 1
    position.pay_funding(candles, since=at, until=last)
    closed = position.side * float(candles.row(CLOSE)[last])
    net = position.net(closed, fee=costs.taker_fee, slippage=costs.slippage)
    return PositionOutcome(net=net, ended_at=last, code=HELD, is_ambiguous=False, orders_done=done)


def _require(candles: ReplayCandles, path: PositionPath, *, stop_sigma: float, target_sigma: float, costs: ReplayCosts) -> None:
    if path.end > len(candles):
        raise InvalidTradeError(f"a path ends at candle {path.end} of {len(candles)}: pass a path inside the candles")
    if not (stop_sigma > 0.0 and target_sigma > 0.0):
        raise InvalidTradeError("stops and targets of a replay must be distances above 0")
    if path.leverage * costs.maintenance_margin_ratio >= 1.0:
        raise InvalidTradeError(
            f"leverage {path.leverage} leaves no room above the maintenance margin ratio {costs.maintenance_margin_ratio}: lower it"
        )


def _by_candle(path: PositionPath) -> Iterator[tuple[int, list[PositionOrder]]]:
    for candle, orders in groupby(path.orders, key=lambda order: order.candle):
        yield candle, list(orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touch:
    """First touched level: its candle, whether it is touched inside the candle (else at its open), and whether both levels are."""

    candle: int
    is_stop: bool
    is_inside: bool
    is_both: bool


def _first_touch(candles: ReplayCandles, position: _Position, start: int, end: int) -> _Touch | None:
    """Return the first touch of stop or target in candles `start` up to `end`; None if there is none or the range is empty."""
    if start >= end:
        return None
    # With prices mirrored for shorts, the lows fall to the stop; mirrored once more, the highs fall to the target.
    opens = position.side * candles.row(OPEN)[start:end]
    falls, rises = (LOW, MINUS_HIGH) if position.side > 0.0 else (MINUS_HIGH, LOW)
    stop_at = _touch(candles.row(falls)[start:end], opens, position.stop)
    target_at = _touch(candles.row(rises)[start:end], -opens, position.minus_target)
    at, is_inside = min(stop_at, target_at)
    if at == end - start:
        return None
    is_both = is_inside and stop_at == target_at
    return _Touch(candle=start + at, is_stop=stop_at <= target_at, is_inside=is_inside, is_both=is_both)


def _touch(lows: NDArray[np.float32], opens: NDArray[np.float32], level: np.float32) -> tuple[int, bool]:
    """Return the index of the first candle that falls to a level, and whether inside it; the number of candles if no candle does."""
    below = lows <= level
    at = int(np.argmax(below)) if bool(below.any()) else len(lows)
    return at, at < len(lows) and bool(opens[at] > level)


def _ended(
    candles: ReplayCandles, position: _Position, touched: _Touch, *, since: int, orders_done: int, has_order: bool
) -> PositionOutcome:
    at, costs, side = touched.candle, position.costs, position.side
    position.pay_funding(candles, since=since, until=at)
    opened = side * float(candles.row(OPEN)[at])
    if touched.is_stop:
        fill = float(position.stop) if touched.is_inside else opened
        lost = position.net(fill, fee=costs.taker_fee, slippage=costs.slippage + costs.stop_slippage)
        net = lost if lost > position.all_lost and fill > position.liquidation else position.all_lost
        code = STOPPED if fill > position.liquidation else LIQUIDATED
    else:
        rises = candles.row(MINUS_HIGH if side > 0.0 else LOW)
        is_maker = costs.target_rests and touched.is_inside and bool(rises[at] < position.minus_target)
        fee, slippage = (costs.maker_fee, 0.0) if is_maker else (costs.taker_fee, costs.slippage)
        net = position.net(-float(position.minus_target) if touched.is_inside else opened, fee=fee, slippage=slippage)
        code = REACHED
    is_ambiguous = touched.is_both or (has_order and touched.is_inside)
    return PositionOutcome(net=net, ended_at=at, code=code, is_ambiguous=is_ambiguous, orders_done=orders_done)
