"""Plain reference implementation of replay, trade by trade and cell by cell, to compare the kernel with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.replay import ReplayCosts, TradePaths
from bot3.trading.exit_rules import NO_RULES, ExitRules


@dataclass(frozen=True, kw_only=True)
class OracleOutcome:
    net: float
    is_ambiguous: bool = False


@dataclass(frozen=True, kw_only=True)
class Position:
    """One trade on float32 candles."""

    candles: CandleArrays
    entry: int
    end: int
    rate: float
    side: float
    leverage: float
    costs: ReplayCosts

    def funding(self, i: int) -> float:
        rates = np.diff(self.candles.funding_sum)[self.entry : i]
        return -self.side * float((rates * self.candles.open[self.entry + 1 : i + 1]).sum()) / self.rate

    def net(self, rate: float, i: int, *, fee: float, slippage: float) -> float:
        """Return freqtrade's profit ratio at leverage 1, funding included."""
        opened = self.rate * (1.0 + self.side * self.costs.taker_fee)
        closed = rate * (1.0 - self.side * slippage) * (1.0 - self.side * fee) + self.side * self.funding(i) * self.rate
        return self.side * (closed / opened - 1.0)

    @property
    def liquidation(self) -> float:
        room = (1.0 / self.leverage - self.costs.maintenance_margin_ratio) / (1.0 - self.side * self.costs.maintenance_margin_ratio)
        return float(np.float32(self.rate * (1.0 - self.side * room)))

    @property
    def break_even(self) -> float:
        """Return the stop whose fill nets 0 without funding."""
        opened = self.rate * (1.0 + self.side * self.costs.taker_fee)
        slippage = self.costs.slippage + self.costs.stop_slippage
        return float(np.float32(opened / ((1.0 - self.side * self.costs.taker_fee) * (1.0 - self.side * slippage))))

    @property
    def all_lost(self) -> float:
        """Return the loss of the margin and the entry fee, whatever the cause."""
        opened = self.rate * (1.0 + self.side * self.costs.taker_fee)
        return self.side * (self.rate * (1.0 - self.side / self.leverage) / opened - 1.0)

    def price(self, name: str, i: int) -> float:
        return float(np.float32(getattr(self.candles, name)[i]))

    def is_beyond(self, rate: float, level: float) -> bool:
        """Return whether a rate is at or beyond a level, on the side of a loss."""
        return self.side * rate <= self.side * level

    def stopped(self, rate: float, i: int) -> float:
        if self.is_beyond(rate, self.liquidation):
            return self.all_lost
        slippage = self.costs.slippage + self.costs.stop_slippage
        return max(self.net(rate, i, fee=self.costs.taker_fee, slippage=slippage), self.all_lost)

    def reached(self, rate: float, i: int, *, is_maker: bool) -> float:
        fee, slippage = (self.costs.maker_fee, 0.0) if is_maker else (self.costs.taker_fee, self.costs.slippage)
        return self.net(rate, i, fee=fee, slippage=slippage)


def inside(position: Position, i: int, *, stop: float, target: float) -> OracleOutcome | None:
    """Return the outcome of a position in one candle, or None if it stays open."""
    side = position.side
    opened, high, low = (position.price(name, i) for name in ("open", "high", "low"))
    worst, best = (low, high) if side > 0.0 else (high, low)
    # The open of the entry's candle was before the fill.
    if i > position.entry and position.is_beyond(opened, stop):
        return OracleOutcome(net=position.stopped(opened, i))
    if i > position.entry and side * opened >= side * target:
        return OracleOutcome(net=position.reached(opened, i, is_maker=False))
    is_reached = side * best >= side * target
    if position.is_beyond(worst, stop):
        return OracleOutcome(net=position.stopped(stop, i), is_ambiguous=is_reached)
    is_maker = position.costs.target_rests and side * best > side * target
    return OracleOutcome(net=position.reached(target, i, is_maker=is_maker)) if is_reached else None


def best_move(position: Position, i: int, *, first: int) -> float:
    name = "high" if position.side > 0.0 else "low"
    return max((position.side * (position.price(name, j) / position.rate - 1.0) for j in range(first, i + 1)), default=-np.inf)


def gives_back(position: Position, i: int, *, rules: ExitRules, sigma: float, first: int) -> bool:
    if i + 1 >= position.end:
        return False
    best = best_move(position, i, first=first)
    closed = position.side * (position.price("close", i) / position.rate - 1.0)
    return best >= rules.giveback_activation_sigma * sigma and closed <= (1.0 - rules.giveback_share) * best


def is_moved(position: Position, i: int, *, rules: ExitRules, sigma: float, first: int) -> bool:
    """Return whether the open of a candle moves the stop to break-even."""
    is_beyond = not position.is_beyond(position.price("open", i), position.break_even)
    return is_beyond and best_move(position, i - 1, first=first) >= rules.break_even_activation_sigma * sigma


def oracle(position: Position, *, stop_move: float, target_move: float, rules: ExitRules, sigma: float, first: int) -> OracleOutcome:
    """Return the outcome of one trade under one stop and target (distances, moves of the price)."""
    # Levels are rounded to float32, as candles are.
    stop, target = (float(np.float32(position.rate * (1.0 + position.side * move))) for move in (-stop_move, target_move))
    if position.is_beyond(stop, position.liquidation):
        stop = position.liquidation
    fee, slippage = position.costs.taker_fee, position.costs.slippage
    for i in range(first, position.end):
        if is_moved(position, i, rules=rules, sigma=sigma, first=first):
            stop = position.break_even
        ended = inside(position, i, stop=stop, target=target)
        if ended is not None:
            return ended
        if gives_back(position, i, rules=rules, sigma=sigma, first=first):
            return OracleOutcome(net=position.net(position.price("open", i + 1), i + 1, fee=fee, slippage=slippage))
    last = position.end - 1
    return OracleOutcome(net=position.net(position.price("close", last), last, fee=fee, slippage=slippage))


def oracle_cells(
    candles: CandleArrays, paths: TradePaths, k: int, *, grid: ExitGrid, costs: ReplayCosts, rules: ExitRules = NO_RULES
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the net outcome of one path in every cell, and whether it is ambiguous there."""
    position = Position(
        candles=candles,
        entry=int(paths.entry[k]),
        end=int(paths.end[k]),
        rate=float(paths.open_rate[k]),
        side=-1.0 if paths.is_short[k] else 1.0,
        leverage=float(paths.leverage[k]),
        costs=costs,
    )
    sigma, first = float(paths.sigma[k]), position.entry + (not paths.has_entry_candle)
    found = [
        [oracle(position, stop_move=s * sigma, target_move=t * sigma, rules=rules, sigma=sigma, first=first) for t in grid.targets]
        for s in grid.stops
    ]
    nets = np.array([[cell.net for cell in row] for row in found])
    return nets, np.array([[cell.is_ambiguous for cell in row] for row in found])
