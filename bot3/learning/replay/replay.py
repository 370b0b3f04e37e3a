"""Replay trades: compute what they would have earned under every stop and target, on the candles of their horizon.

Each trade's candles are processed once. The net outcomes are summed by group for every stop and target of the grid; a second pass computes
the outcome of each trade under chosen ones. Trades end by the events of `trading.exit_law`. The candle of the entry is excluded unless
candles last a minute at most. Moves are net of the exit's slippage, both fees and funding; the entry's slippage is in `open_rate`. Beyond
the liquidation rate exactly the margin is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.learning.replay.grids import ExitGrid, GridSums
from bot3.learning.replay.kernel import AMBIGUOUS, PROFIT, SQUARES, TOTAL, WINS, leave_paths, sum_paths, summarise_paths
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts, TradePaths
from bot3.trading.exit_rules import NO_RULES, ExitRules

__all__ = [
    "GroupSums",
    "Outcomes",
    "PathSummary",
    "ReplayCandles",
    "ReplayCosts",
    "TradePaths",
    "outcomes",
    "sum_groups",
    "summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """Sums of net outcomes (ratios of the price) of every group, for every stop and target.

    Parameters
    ----------
    n : int64 array of shape (groups,)
        Number of trades.
    weight : float64 array of shape (groups,)
        Sum of their weights; n without weights.
    sums : float64 array of shape (groups, 5, stops, targets)
        Weighted sum, sum of squares, wins and gross profit, and the unweighted number of trades whose stop and target lay inside one
        candle.
    """

    n: NDArray[np.int64]
    weight: NDArray[np.float64]
    sums: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.n)

    def group(self, group: int) -> GridSums:
        """Return the sums of one group."""
        own = self.sums[group]
        return GridSums(
            n=int(self.n[group]),
            total=own[TOTAL],
            squares=own[SQUARES],
            wins=own[WINS],
            gross_profit=own[PROFIT],
            gross_loss=own[TOTAL] - own[PROFIT],
            ambiguous=own[AMBIGUOUS],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of N trades under one stop and target each.

    `net` is the net move (ratio of the price), `ended_at` the index of the candle in which the trade ended, `code` the code of the end in
    `exit_law` (HELD for the end of the horizon), and `is_ambiguous` whether stop and target were touched inside that candle: then the stop
    is assumed to be first.
    """

    net: NDArray[np.float64]
    ended_at: NDArray[np.int64]
    code: NDArray[np.int8]
    is_ambiguous: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.net)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSummary:
    """Worst, best and last move of the price over the whole horizon, before costs, and its funding (below 0: paid); shape (N,) each."""

    mae_move: NDArray[np.float64]
    mfe_move: NDArray[np.float64]
    exit_move: NDArray[np.float64]
    funding_move: NDArray[np.float64]


def sum_groups(
    candles: ReplayCandles,
    paths: TradePaths,
    *,
    group: NDArray[np.int64],
    groups: int,
    grid: ExitGrid,
    costs: ReplayCosts,
    weight: NDArray[np.float64] | None = None,
    exit_rules: ExitRules = NO_RULES,
) -> GroupSums:
    """Replay every path under every stop and target of the grid, and sum the outcomes by group.

    Parameters
    ----------
    group : array of shape (N,)
        Group of each path, from 0 up to `groups` (excluded).
    weight : array of shape (N,) or None
        Weight of each path in all sums except the ambiguous ones; None is 1.
    exit_rules : ExitRules
        Giveback and break-even stop; without them a trade exits at its levels and the horizon only.

    Raises
    ------
    InvalidTradeError
        If a path extends beyond the candles, a group does not exist, or a trade's margin is not above the maintenance margin.
    """
    _require(candles, paths, costs=costs)
    n = _counts(group, groups=groups)
    weights = np.ones(len(paths)) if weight is None else weight
    # A stable sort of uint16 is a radix sort, which is faster.
    order = np.argsort(group.astype(np.uint16) if groups <= 2**16 else group, kind="stable")
    starts = np.concatenate(([0], np.cumsum(n)))
    sums = np.zeros((groups, 5, *grid.shape))
    sum_paths(
        (candles.prices, candles.funding),
        _columns(paths, weights),
        (order, starts),
        (grid.stops, grid.targets),
        _numbers(costs),
        exit_rules.numbers,
        sums,
    )
    return GroupSums(n=n, weight=np.bincount(group, weights=weights, minlength=groups).astype(np.float64), sums=sums)


def outcomes(
    candles: ReplayCandles,
    paths: TradePaths,
    *,
    stop_sigma: NDArray[np.float64],
    target_sigma: NDArray[np.float64],
    costs: ReplayCosts,
    exit_rules: ExitRules = NO_RULES,
) -> Outcomes:
    """Replay every path under its own stop and target, distances in sigmas above 0.

    Raises
    ------
    InvalidTradeError
        As for `sum_groups`, and if a distance is not above 0.
    """
    _require(candles, paths, costs=costs)
    if not bool(((stop_sigma > 0.0) & (target_sigma > 0.0)).all()):
        raise InvalidTradeError("stops and targets of a replay must be distances above 0")
    n = len(paths)
    left = Outcomes(net=np.empty(n), ended_at=np.empty(n, np.int64), code=np.empty(n, np.int8), is_ambiguous=np.empty(n, np.bool_))
    leave_paths(
        (candles.prices, candles.funding),
        _columns(paths, np.ones(n)),
        (stop_sigma, target_sigma),
        _numbers(costs),
        exit_rules.numbers,
        (left.net, left.ended_at, left.code, left.is_ambiguous),
    )
    return left


def summary(candles: ReplayCandles, paths: TradePaths) -> PathSummary:
    """Summarise each path without stop and target. Raises InvalidTradeError if a path extends beyond the candles."""
    paths.require_inside(candles)
    found = np.empty((4, len(paths)))
    summarise_paths((candles.prices, candles.funding), _columns(paths, np.ones(len(paths))), found)
    return PathSummary(mae_move=found[0], mfe_move=found[1], exit_move=found[2], funding_move=found[3])


def _require(candles: ReplayCandles, paths: TradePaths, *, costs: ReplayCosts) -> None:
    paths.require_inside(candles)
    if len(paths) and float(paths.leverage.max()) * costs.maintenance_margin_ratio >= 1.0:
        raise InvalidTradeError(
            f"leverage {paths.leverage.max()} leaves no room above the maintenance margin ratio {costs.maintenance_margin_ratio}: lower it"
        )


def _counts(group: NDArray[np.int64], *, groups: int) -> NDArray[np.int64]:
    if len(group) and not 0 <= int(group.min()) <= int(group.max()) < groups:
        raise InvalidTradeError(f"groups must be from 0 to {groups - 1}, were {group.min()} to {group.max()}")
    return np.bincount(group, minlength=groups).astype(np.int64)


def _columns(paths: TradePaths, weights: NDArray[np.float64]) -> tuple[Any, ...]:
    return (paths.entry, paths.end, paths.open_rate, paths.is_short, paths.leverage, paths.sigma, weights, paths.has_entry_candle)


def _numbers(costs: ReplayCosts) -> tuple[Any, ...]:
    return (costs.taker_fee, costs.maker_fee, costs.slippage, costs.stop_slippage, costs.maintenance_margin_ratio, costs.target_rests)
