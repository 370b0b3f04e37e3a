"""Replay trades with numpy only: the kernel's costs and sums, computed cell by cell or by the kernel's corners.

Windows of float32, running extremes and one sorted search find the touches. Trades are processed some hundred at once, so that the arrays
fit the cache; instants are int16, so that many are compared at once; `bincount` sums the corners. Three alternatives were measured and are
not faster: searching only candles with a new extreme, searching blocks of candles first, and summing cells as matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.replay_world import GROUPS, HORIZON, ReplayWorld
from bot3.errors import InvalidTradeError
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.kernel import CLOSE, LOW, MINUS_HIGH, OPEN
from bot3.learning.replay.replay import GroupSums, ReplayCandles, ReplayCosts, TradePaths

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Instants = NDArray[np.int16]
_CHUNK = 512
_NEVER = 2 * HORIZON + 2
"""Instant of a target that is never touched. A stop's is one later, so that the target decides, with the net move at the horizon."""
_FAR = 256.0
"""Sigmas between two rows of one sorted search."""


def numpy_sums(world: ReplayWorld, *, grid: ExitGrid, costs: ReplayCosts, by_corners: bool) -> GroupSums:
    """Compute the result of `sum_groups` up to rounding.

    Raises InvalidTradeError for paths of another length than the horizon or with the entry's candle, and for moves of 128 sigmas or more.
    """
    order = np.argsort(world.group, kind="stable")
    paths, group = world.paths.take(order), world.group[order]
    if paths.has_entry_candle or bool((paths.end - paths.entry != HORIZON + 1).any()):
        raise InvalidTradeError(f"the numpy rival supports only paths of {HORIZON} candles after the entry's")
    n = np.bincount(group, minlength=GROUPS)
    sums = np.zeros((GROUPS, 5, *grid.shape))
    add = _add_corners if by_corners else _add_cells
    bounds = np.concatenate(([0], np.cumsum(n)))
    for first, last in _chunks(bounds):
        own = np.arange(bounds[first], bounds[last])
        stops, targets = _Trades.of(world.candles, paths.take(own), costs=costs).exits(grid)
        add(stops, targets, bounds[first : last + 1] - bounds[first], sums[first:last])
    return GroupSums(n=n, weight=n.astype(np.float64), sums=sums)


def _chunks(bounds: Ints) -> Iterator[tuple[int, int]]:
    """Yield ranges of whole groups, each of at least 512 trades except the last."""
    first = 0
    for last in range(1, len(bounds)):
        if bounds[last] - bounds[first] >= _CHUNK or last == len(bounds) - 1:
            yield first, last
            first = last


@dataclass(frozen=True, kw_only=True)
class _Exits:
    """Instant of the first touch of each level (`_instants`) and the net move of an exit there; both of shape (trades, levels)."""

    at: Instants
    net: Floats


@dataclass(frozen=True, kw_only=True)
class _Trades:
    """Some trades with the kernel's inputs: columns of shape (trades, 1)."""

    candles: ReplayCandles
    costs: ReplayCosts
    entry: Ints
    rate: Floats
    sigma: Floats
    side: Floats
    leverage: Floats

    @classmethod
    def of(cls, candles: ReplayCandles, paths: TradePaths, *, costs: ReplayCosts) -> _Trades:
        return cls(
            candles=candles,
            costs=costs,
            entry=paths.entry[:, None],
            rate=paths.open_rate[:, None],
            sigma=paths.sigma[:, None],
            side=np.where(paths.is_short, -1.0, 1.0)[:, None],
            leverage=paths.leverage[:, None],
        )

    def exits(self, grid: ExitGrid) -> tuple[_Exits, _Exits]:
        """Return the exits at the stops and at the targets of a grid."""
        costs, side = self.costs, self.side
        opened = self.rate * (1.0 + side * costs.taker_fee)
        stop_ratio = (1.0 - side * costs.taker_fee) * (1.0 - side * (costs.slippage + costs.stop_slippage)) / opened
        taker = (1.0 - side * costs.taker_fee) * (1.0 - side * costs.slippage) / opened
        maker = (1.0 - side * costs.maker_fee) / opened if costs.target_rests else taker
        return self._stops(grid.stops, stop_ratio, opened), self._targets(grid.targets, taker, maker, opened)

    def _stops(self, distances: Floats, ratio: Floats, opened: Floats) -> _Exits:
        side, rate, margin = self.side, self.rate, self.costs.maintenance_margin_ratio
        liquidation = (side * rate - rate * (1.0 / self.leverage - margin) / (1.0 - side * margin)).astype(np.float32)
        floor = side * (rate * (1.0 - side / self.leverage) / opened - 1.0)
        levels = np.maximum(side * rate - rate * self.sigma * distances, liquidation).astype(np.float32)
        place = self._first(np.where(side > 0.0, LOW, MINUS_HIGH), levels, side)
        at_open = side.astype(np.float32) * self._price(OPEN, place)
        fill = np.minimum(levels, at_open)
        net = ratio * fill
        net += self._paid(place, opened)
        net = np.where((net > floor) & (fill > liquidation), net, floor)
        return _Exits(at=_instants(place, at_open > levels, never=_NEVER + 1), net=net)

    def _targets(self, distances: Floats, taker: Floats, maker: Floats, opened: Floats) -> _Exits:
        side = self.side
        levels = (-side * self.rate - self.rate * self.sigma * distances).astype(np.float32)
        best = np.where(side > 0.0, MINUS_HIGH, LOW)
        place = self._first(best, levels, -side)
        at_open = -side.astype(np.float32) * self._price(OPEN, place)
        inside = at_open > levels
        net = np.where(inside & (self._price(best, place) < levels), maker, taker)
        net *= -np.minimum(levels, at_open)
        net += self._paid(place, opened)
        last = np.full_like(self.entry, HORIZON - 1)
        held = taker * side * self._price(CLOSE, last) + self._paid(last, opened)
        return _Exits(at=_instants(place, inside, never=_NEVER), net=np.where(place < HORIZON, net, held))

    def _price(self, row: int | Ints, place: Ints) -> Singles:
        found: Singles = self.candles.prices.take(place + (row * len(self.candles) + self.entry + 1))
        return found

    def _paid(self, place: Ints, opened: Floats) -> Floats:
        """Return the funding until a position in the path, as a part of the net move, minus the value of the entry."""
        funding = self.candles.funding
        paid = funding.take(place + (self.entry + 1), mode="clip")
        paid -= funding[self.entry]
        paid *= -self.side / opened
        paid -= self.side
        return paid

    def _first(self, row: Ints, levels: Singles, sign: Floats) -> Ints:
        """Return the position in the path of the first candle at or below each level; HORIZON if there is none."""
        lines = np.arange(len(levels))[:, None]
        scale, shift = -1.0 / (self.rate * self.sigma), sign / self.sigma
        starts = row * len(self.candles) + self.entry + 1
        worst = sliding_window_view(self.candles.prices, HORIZON)[starts[:, 0]]
        np.minimum.accumulate(worst, axis=1, out=worst)
        reached = worst * scale
        reached += shift
        if reached[:, 0].min() <= -_FAR / 2.0 or reached[:, -1].max() >= _FAR / 2.0:
            raise InvalidTradeError(f"a path moves further than {_FAR / 2.0} sigmas, so rows of the search would overlap")
        reached += _FAR * lines
        # A level without limit (no target) is beyond the row's moves and before the next row's.
        asked: Floats = np.minimum(levels * scale + shift, _FAR / 2.0) + _FAR * lines
        # Candles and levels are float32 and scaled by the same operations, so equal values stay equal.
        found: Ints = np.searchsorted(reached.reshape(-1), asked.reshape(-1)).reshape(levels.shape) - HORIZON * lines
        return found


def _instants(place: Ints, inside: NDArray[np.bool_], *, never: int) -> Instants:
    """Return twice the position of a touch, plus one if it is inside the candle and not at its open; `never` without a touch."""
    instant = place.astype(np.int16)
    instant *= 2
    instant += inside
    instant[place == HORIZON] = never
    return instant


def _add_cells(stops: _Exits, targets: _Exits, bounds: Ints, sums: Floats) -> None:
    """Compute the net move of each trade under each stop and target, and write the sums of each group."""
    for number in range(len(bounds) - 1):
        own = slice(bounds[number], bounds[number + 1])
        stop_at, target_at = stops.at[own, :, None], targets.at[own, None, :]
        net = np.where(stop_at <= target_at, stops.net[own, :, None], targets.net[own, None, :])
        sums[number, 0] = net.sum(axis=0)
        sums[number, 1] = np.einsum("kst,kst->st", net, net)
        sums[number, 2] = np.add.reduce(net > 0.0, axis=0, dtype=np.int32)
        sums[number, 3] = np.maximum(net, 0.0, out=net).sum(axis=0)
        sums[number, 4] = np.add.reduce(stop_at == target_at, axis=0, dtype=np.int32)


def _add_corners(stops: _Exits, targets: _Exits, bounds: Ints, sums: Floats) -> None:
    """Add each level's net move at the corner where it starts to decide, then sum from the corners, as the kernel does."""
    n_stops, n_targets = stops.at.shape[1], targets.at.shape[1]
    stop_at, target_at = np.ascontiguousarray(stops.at.T), np.ascontiguousarray(targets.at.T)
    before, until = _counts(target_at, stop_at, np.less), _counts(target_at, stop_at, np.less_equal)
    stops_before = _counts(stop_at, target_at, np.less_equal)
    groups = len(bounds) - 1
    group = np.repeat(np.arange(groups), np.diff(bounds))[:, None]
    rows = (group * n_stops + np.arange(n_stops)) * (n_targets + 1) + before
    columns = (group * (n_stops + 1) + stops_before) * n_targets + np.arange(n_targets)
    for kind, (stopped, won) in enumerate(zip(_statistics(stops.net), _statistics(targets.net), strict=True)):
        of_stops = np.bincount(rows.reshape(-1), stopped.reshape(-1), groups * n_stops * (n_targets + 1))
        of_targets = np.bincount(columns.reshape(-1), won.reshape(-1), groups * (n_stops + 1) * n_targets)
        np.cumsum(of_stops.reshape(groups, n_stops, -1)[:, :, :-1], axis=2, out=sums[:, kind])
        sums[:, kind] += np.cumsum(of_targets.reshape(groups, -1, n_targets)[:, :-1], axis=1)
    clash = before != until
    opens = np.bincount(rows[clash], minlength=groups * n_stops * (n_targets + 1))
    ends = np.bincount(rows[clash] + (until - before)[clash], minlength=groups * n_stops * (n_targets + 1))
    np.cumsum((opens - ends).reshape(groups, n_stops, -1)[:, :, :-1], axis=2, out=sums[:, 4])


def _counts(instants: Instants, others: Instants, comes: np.ufunc) -> NDArray[np.int8]:
    """Count, for each of the others, the instants of the same trade that `comes` finds before it; of shape (trades, levels)."""
    count = np.zeros(others.shape, np.int8)
    for instant in instants:
        count += comes(instant, others)
    return np.ascontiguousarray(count.T)


def _statistics(net: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    profit = np.maximum(net, 0.0)
    return net, net * net, (net > 0.0).astype(np.float64), profit
