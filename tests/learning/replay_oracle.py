"""Plain reference implementation of replay, trade by trade and cell by cell, to compare the kernel with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.replay import GivebackRule, ReplayCosts, TradePaths


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


def gives_back(position: Position, i: int, *, giveback: GivebackRule | None, activation: float, first: int) -> bool:
    if giveback is None or i + 1 >= position.end:
        return False
    name = "high" if position.side > 0.0 else "low"
    best = max(position.side * (position.price(name, j) / position.rate - 1.0) for j in range(first, i + 1))
    closed = position.side * (position.price("close", i) / position.rate - 1.0)
    return best >= activation and closed <= (1.0 - giveback.share) * best


def oracle(
    position: Position, *, stop_move: float, target_move: float, giveback: GivebackRule | None, sigma: float, first: int
) -> OracleOutcome:
    """Return the outcome of one trade under one stop and target (distances, moves of the price)."""
    # Levels are rounded to float32, as candles are.
    stop, target = (float(np.float32(position.rate * (1.0 + position.side * move))) for move in (-stop_move, target_move))
    if position.is_beyond(stop, position.liquidation):
        stop = position.liquidation
    activation = giveback.activation_sigma * sigma if giveback else 0.0
    fee, slippage = position.costs.taker_fee, position.costs.slippage
    for i in range(first, position.end):
        ended = inside(position, i, stop=stop, target=target)
        if ended is not None:
            return ended
        if gives_back(position, i, giveback=giveback, activation=activation, first=first):
            return OracleOutcome(net=position.net(position.price("open", i + 1), i + 1, fee=fee, slippage=slippage))
    last = position.end - 1
    return OracleOutcome(net=position.net(position.price("close", last), last, fee=fee, slippage=slippage))


def oracle_cells(
    candles: CandleArrays, paths: TradePaths, k: int, *, grid: ExitGrid, costs: ReplayCosts, giveback: GivebackRule | None = None
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
        [oracle(position, stop_move=s * sigma, target_move=t * sigma, giveback=giveback, sigma=sigma, first=first) for t in grid.targets]
        for s in grid.stops
    ]
    nets = np.array([[cell.net for cell in row] for row in found])
    return nets, np.array([[cell.is_ambiguous for cell in row] for row in found])
