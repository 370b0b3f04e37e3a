"""First-touch replay: what a trade would have earned under every stop and target.

Each trade walks its candles once and notes, for every stop and every target by itself, when it is touched first and what leaving there
nets. A cell of the grid is then the earlier of its two levels, else the close of the horizon. Inside one candle the stop comes first;
what was gapped over fills at the open, before anything inside that candle. The candle of the entry is left out (at 5m nobody knows what
came before the fill), and moves are net of the exit's slippage, both fees and funding; the entry's slippage is in `open_rate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.learning.candle_arrays import CandleArrays
from bot3.learning.grids import ExitGrid, GridSums
from bot3.learning.replay_kernel import AMBIGUOUS, PROFIT, SQUARES, TOTAL, WINS, leave_paths, sum_paths, summarise_paths
from bot3.learning.replay_paths import GivebackRule, ReplayCandles, ReplayCosts, TradePaths

__all__ = [
    "GivebackRule",
    "GroupSums",
    "Outcomes",
    "PathSummary",
    "ReplayCandles",
    "ReplayCosts",
    "ReplayedTrades",
    "TradePaths",
    "cell_outcomes",
    "empty_replays",
    "outcomes",
    "replay_trades",
    "sum_cells",
    "sum_groups",
    "summary",
]

NEVER = np.int32(2**30)
"""Instant of a touch that did not happen; others are 2 x candle at an open and 2 x candle + 1 inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """Sums of net outcomes (ratios of the price) of every group, for every stop and target.

    Parameters
    ----------
    n : int64 array of shape (groups,)
        Trades.
    weight : float64 array of shape (groups,)
        Sum of their weights; n where they were not weighted.
    sums : float64 array of shape (groups, 5, stops, targets)
        Weighted sum, sum of squares, wins and gross profit, and the number of trades whose stop and target lay inside one candle.
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
    """How N trades ended under one stop and target each.

    `net` is the net move (ratio of the price), `ended_at` the candle, `code` how (`replay_kernel`), `is_ambiguous` whether stop and target
    lay inside that candle: the stop is taken for the first.
    """

    net: NDArray[np.float64]
    ended_at: NDArray[np.int64]
    code: NDArray[np.int8]
    is_ambiguous: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.net)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSummary:
    """Worst, best and last move of the price over the whole horizon, before costs, and funding over it (below 0: paid); shape (N,)."""

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
    giveback: GivebackRule | None = None,
) -> GroupSums:
    """Replay every path under every stop and target of the grid, and sum by group.

    Parameters
    ----------
    group : array of shape (N,)
        Which group each path belongs to, 0 up to `groups`.
    weight : array of shape (N,) or None
        Weight of each path in all sums but the ambiguous ones; None is 1.
    giveback : GivebackRule or None
        One place on the third axis; None leaves at the horizon.

    Raises
    ------
    InvalidTradeError
        If a path leaves the candles, a group does not exist, or the margin of a trade is below its maintenance.
    """
    _require(candles, paths, costs=costs)
    n = _counts(group, groups=groups)
    weights = np.ones(len(paths)) if weight is None else weight
    order = np.argsort(group.astype(np.uint16) if groups <= 2**16 else group, kind="stable")
    starts = np.concatenate(([0], np.cumsum(n)))
    sums = np.zeros((groups, 5, *grid.shape))
    sum_paths(
        (candles.prices, candles.funding),
        _columns(paths, weights),
        (order, starts),
        (grid.stops, grid.targets),
        _numbers(costs),
        _rule(giveback),
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
    giveback: GivebackRule | None = None,
) -> Outcomes:
    """Replay every path under a stop and a target of its own (distances in sigmas, above 0): the second pass, for what was chosen.

    Raises
    ------
    InvalidTradeError
        As `sum_groups`, and if a distance is not above 0.
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
        _rule(giveback),
        (left.net, left.ended_at, left.code, left.is_ambiguous),
    )
    return left


def summary(candles: ReplayCandles, paths: TradePaths) -> PathSummary:
    """Return what each path did, whatever its stop and target. Raises InvalidTradeError if one leaves the candles."""
    paths.require_inside(candles)
    found = np.empty((4, len(paths)))
    summarise_paths((candles.prices, candles.funding), _columns(paths, np.ones(len(paths))), found)
    return PathSummary(mae_move=found[0], mfe_move=found[1], exit_move=found[2], funding_move=found[3])


def _require(candles: ReplayCandles, paths: TradePaths, *, costs: ReplayCosts) -> None:
    paths.require_inside(candles)
    if len(paths) and float(paths.leverage.max()) * costs.maintenance_margin_ratio >= 1.0:
        raise InvalidTradeError(f"a leverage of {paths.leverage.max()} leaves no room above maintenance {costs.maintenance_margin_ratio}")


def _counts(group: NDArray[np.int64], *, groups: int) -> NDArray[np.int64]:
    if len(group) and not 0 <= int(group.min()) <= int(group.max()) < groups:
        raise InvalidTradeError(f"groups must be from 0 to {groups - 1}, were {group.min()} to {group.max()}")
    return np.bincount(group, minlength=groups).astype(np.int64)


def _columns(paths: TradePaths, weights: NDArray[np.float64]) -> tuple[Any, ...]:
    return (paths.entry, paths.end, paths.open_rate, paths.is_short, paths.leverage, paths.sigma, weights, paths.has_entry_candle)


def _numbers(costs: ReplayCosts) -> tuple[Any, ...]:
    return (costs.taker_fee, costs.maker_fee, costs.slippage, costs.stop_slippage, costs.maintenance_margin_ratio, costs.target_rests)


def _rule(giveback: GivebackRule | None) -> tuple[float, float]:
    return (math.inf, 0.0) if giveback is None else (giveback.activation_sigma, giveback.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedTrades:
    """What replay knows of N trades, in their order.

    Parameters
    ----------
    stop_at, target_at : int32 of shape (N, S) and (N, T)
        Instant of the first touch (see `NEVER`); a stop behind the liquidation rate has the liquidation's instant.
    stop_net, target_net : float64 of the same shapes
        Net move of leaving there.
    exit_net : float64 of shape (N,)
        Net move of leaving at the horizon's last close.
    mae_move, mfe_move, exit_move, funding_move : float64 of shape (N,)
        Worst, best and last move of the price over the horizon, before costs; funding over the whole of it (below 0: paid).
    """

    stop_at: NDArray[np.int32]
    target_at: NDArray[np.int32]
    stop_net: NDArray[np.float64]
    target_net: NDArray[np.float64]
    exit_net: NDArray[np.float64]
    mae_move: NDArray[np.float64]
    mfe_move: NDArray[np.float64]
    exit_move: NDArray[np.float64]
    funding_move: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.exit_net)


def empty_replays(n: int, *, grid: ExitGrid) -> ReplayedTrades:
    """Return room for n trades, not yet replayed."""
    stops, targets = grid.shape
    return ReplayedTrades(
        stop_at=np.full((n, stops), NEVER, dtype=np.int32),
        target_at=np.full((n, targets), NEVER, dtype=np.int32),
        stop_net=np.full((n, stops), np.nan),
        target_net=np.full((n, targets), np.nan),
        **{name: np.full(n, np.nan) for name in ("exit_net", "mae_move", "mfe_move", "exit_move", "funding_move")},
    )


def replay_trades(
    candles: CandleArrays,
    *,
    entry: NDArray[np.int64],
    end: NDArray[np.int64],
    open_rate: NDArray[np.float64],
    is_short: NDArray[np.bool_],
    leverage: NDArray[np.float64],
    sigma: NDArray[np.float64],
    grid: ExitGrid,
    costs: ReplayCosts,
) -> ReplayedTrades:
    """Replay trades of one pair over its candles.

    Parameters
    ----------
    entry, end : arrays of shape (N,)
        Index of the candle that holds the entry, and of the candle after the horizon's last one; the path is entry + 1 up to end.
    open_rate, is_short, leverage : arrays of shape (N,)
        Of the trades.
    sigma : array of shape (N,)
        Volatility at entry: standard deviation of the log price over the horizon.

    Raises
    ------
    ValueError
        If a path is empty or leaves the candles.
    """
    if bool(((end <= entry + 1) | (entry < 0) | (end > len(candles))).any()):
        raise ValueError("a path must hold at least one candle after the entry's, and stay inside the candles")
    out = empty_replays(len(entry), grid=grid)
    _touch(
        (candles.open, candles.high, candles.low, candles.close, candles.funding_sum),
        (entry, end, open_rate, is_short, leverage, sigma),
        (grid.stops, grid.targets),
        (costs.taker_fee, costs.slippage, costs.stop_slippage, costs.maintenance_margin_ratio),
        (out.stop_at, out.target_at, out.stop_net, out.target_net),
        (out.exit_net, out.mae_move, out.mfe_move, out.exit_move, out.funding_move),
    )
    return out


def cell_outcomes(replayed: ReplayedTrades, *, rows: NDArray[np.int64], cell: tuple[int, int]) -> tuple[NDArray[np.float64], float]:
    """Return the net outcome of each of some trades at one stop and target, and the ambiguous share among them."""
    stop_at, target_at = replayed.stop_at[rows, cell[0]], replayed.target_at[rows, cell[1]]
    touched = np.where(stop_at <= target_at, replayed.stop_net[rows, cell[0]], replayed.target_net[rows, cell[1]])
    outcomes: NDArray[np.float64] = np.where(np.minimum(stop_at, target_at) == NEVER, replayed.exit_net[rows], touched)
    ambiguous = (stop_at == target_at) & (stop_at != NEVER)
    return outcomes, float(ambiguous.mean()) if len(rows) else 0.0


def sum_cells(replayed: ReplayedTrades, *, rows: NDArray[np.int64]) -> GridSums:
    """Return the sums over the grid of some trades, in the order of `rows`."""
    shape = (replayed.stop_at.shape[1], replayed.target_at.shape[1])
    sums = np.zeros((6, *shape))
    _accumulate(rows, (replayed.stop_at, replayed.target_at), (replayed.stop_net, replayed.target_net), replayed.exit_net, sums)
    return GridSums(n=len(rows), total=sums[0], squares=sums[1], wins=sums[2], gross_profit=sums[3], gross_loss=sums[4], ambiguous=sums[5])


@numba.njit(cache=True)
def _net(move: float, side: float, fee: float, slip: float, funding: float) -> float:
    """Return a move of the price after fees, slippage of the exit and funding (received above 0); all ratios of the entry rate."""
    ratio = 1.0 + side * move
    return move - fee - (fee + slip) * ratio + funding


@numba.njit(cache=True)
def _touch(candles: Any, trades: Any, levels: Any, costs: Any, touches: Any, summary: Any) -> None:  # noqa: PLR0917  # numba knows no keywords
    """Walk each trade's candles once, merging stops (ascending) and targets (ascending) into the running extremes."""
    opens, highs, lows, closes, funding_sum = candles
    entries, ends, open_rates, shorts, leverages, sigmas = trades
    stops, targets = levels
    fee, slippage, stop_slippage, maintenance = costs
    stop_at, target_at, stop_net, target_net = touches
    exit_net, mae, mfe, exit_move, funding_move = summary
    for k in range(len(entries)):
        rate, sigma = open_rates[k], sigmas[k]
        side = -1.0 if shorts[k] else 1.0
        margin = 1.0 / leverages[k]
        liquidation = max(margin - maintenance, 0.0)
        worst, best, last, funding = np.inf, -np.inf, 0.0, 0.0
        next_stop, next_target, dead = 0, 0, False
        for i in range(entries[k] + 1, ends[k]):
            instant = 2 * (i - entries[k])
            opened = side * (opens[i] / rate - 1.0)
            closed = side * (closes[i] / rate - 1.0)
            up, down = side * (highs[i] / rate - 1.0), side * (lows[i] / rate - 1.0)
            low, high = min(up, down), max(up, down)
            funding = -side * (funding_sum[i] - funding_sum[entries[k]])
            worst, best, last = min(worst, low), max(best, high), closed
            while not dead and next_stop < len(stops) and low <= -min(stops[next_stop] * sigma, liquidation):
                if stops[next_stop] * sigma >= liquidation:
                    dead = True
                    break
                level = -stops[next_stop] * sigma
                at_open = opened <= level
                stop_at[k, next_stop] = instant if at_open else instant + 1
                fill = opened if at_open else level
                # A gap may jump over the liquidation rate as well: isolated margin is all that can be lost.
                stop_net[k, next_stop] = max(_net(fill, side, fee, slippage + stop_slippage, funding), -margin - fee)
                next_stop += 1
            if dead:
                for s in range(next_stop, len(stops)):
                    stop_at[k, s] = instant if opened <= -liquidation else instant + 1
                    stop_net[k, s] = -margin - fee
                next_stop = len(stops)
            while next_target < len(targets) and high >= targets[next_target] * sigma:
                level = targets[next_target] * sigma
                at_open = opened >= level
                target_at[k, next_target] = instant if at_open else instant + 1
                target_net[k, next_target] = _net(opened if at_open else level, side, fee, slippage, funding)
                next_target += 1
        exit_net[k] = _net(last, side, fee, slippage, funding)
        mae[k], mfe[k], exit_move[k], funding_move[k] = worst, best, last, funding


@numba.njit(cache=True)
def _accumulate(rows: Any, instants: Any, nets: Any, exit_net: Any, sums: Any) -> None:
    stop_at, target_at = instants
    stop_net, target_net = nets
    for row in rows:
        for s in range(stop_at.shape[1]):
            for t in range(target_at.shape[1]):
                stopped, reached = stop_at[row, s], target_at[row, t]
                outcome = exit_net[row]
                if stopped <= reached and stopped != NEVER:
                    outcome = stop_net[row, s]
                elif reached < stopped:
                    outcome = target_net[row, t]
                sums[0, s, t] += outcome
                sums[1, s, t] += outcome * outcome
                if outcome > 0.0:
                    sums[2, s, t] += 1.0
                    sums[3, s, t] += outcome
                else:
                    sums[4, s, t] += outcome
                if stopped == reached and stopped != NEVER:
                    sums[5, s, t] += 1.0
