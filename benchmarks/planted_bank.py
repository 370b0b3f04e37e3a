"""A fixed bank of price paths, with the exact outcome of a trade on each path under every stop and target.

A move is a ratio of the entry price, above 0 in the trade's direction. A path is a martingale (noise) plus the drift of its type. An exit
fills at the price of the minute that reached its level, so that without drift no stop and no target earns anything before costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.grids import ExitGrid
from bot3.trading.leverage_bins import DEFAULT_BINS

PATH_TYPES = ("noise", "trend", "pop_and_fade", "adverse", "dip_then_run")
STEPS = 720  # minutes of the horizon of 12 h
BANK_SEED = 20_250_101
BANK_PATHS = 60_000

TAKER, MAKER, SLIPPAGE, STOP_SLIPPAGE, FUNDING = 0.0005, 0.0002, 0.0001, 0.0003, 0.00015
MAINTENANCE = 0.01
SIGMA, SIGMA_SPREAD, SIGMA_ERROR = 0.025, 0.35, 0.25
TAIL_DEGREES, TAIL_MINUTES = 4.0, 10
AMPLITUDES = (0.4, 1.0)
"""Least and largest size of a type's drift, in units of the volatility known at entry (sigma)."""
_SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "noise": ((0.0, 0.0), (1.0, 0.0)),
    "trend": ((0.0, 0.0), (1.0, 1.0)),
    "pop_and_fade": ((0.0, 0.0), (0.25, 1.0), (1.0, -0.6)),
    "adverse": ((0.0, 0.0), (1.0, -1.0)),
    "dip_then_run": ((0.0, 0.0), (0.25, -1.0), (1.0, 1.0)),
}
_BLOCK = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Outcomes of price paths, which are sorted by type and within a type by their last move.

    Parameters
    ----------
    outcomes : float32 of shape (paths, stops, targets)
        Net move under every setting, as if there were no liquidation.
    liquidated : float32 of shape (paths, bins, targets)
        Net move if the liquidation rate of a bin replaces the stop.
    liquidated_from : int16 of shape (paths, bins)
        Index of the first stop at or beyond the bin's liquidation rate; the number of stops if there is no such stop.
    stop_minute, target_minute, liquidated_minute : int16 of shapes (paths, stops), (paths, targets) and (paths, bins)
        Index of the minute that first reached each level, `STEPS` if none did; the last minute has the index STEPS - 1.
    worst, best : float32 of shape (paths,)
        Lowest and highest move of the path, in units of sigma.
    type_means, type_squares : float64 of shape (bins, types, stops, targets)
        Mean net move of each type with a bin's liquidation rate, and mean squared net move. Those of a cell are weighted means of these.
    per_type : int
        Number of paths of each type.
    """

    grid: ExitGrid
    outcomes: NDArray[np.float32]
    liquidated: NDArray[np.float32]
    liquidated_from: NDArray[np.int16]
    stop_minute: NDArray[np.int16]
    target_minute: NDArray[np.int16]
    liquidated_minute: NDArray[np.int16]
    sigma: NDArray[np.float32]
    worst: NDArray[np.float32]
    best: NDArray[np.float32]
    type_means: NDArray[np.float64]
    type_squares: NDArray[np.float64]
    per_type: int

    def __len__(self) -> int:
        return len(self.sigma)


def bin_leverages() -> NDArray[np.float64]:
    """Return the leverage of all trades of each bin, which is the middle of the bin."""
    edges = np.asarray(DEFAULT_BINS.edges)
    middle: NDArray[np.float64] = (edges[1:] + edges[:-1]) / 2.0
    return middle


def bank_grid() -> ExitGrid:
    """Return the stops and targets of the worlds: 32 from 0.1 to 4 sigma and 32 from 0.1 to 6 sigma, log-spaced.

    The last target is hardly ever reached within the horizon: it stands for the platform's setting without target.
    """
    return ExitGrid(stops=np.geomspace(0.1, 4.0, 32), targets=np.geomspace(0.1, 6.0, 32))


def make_bank(*, paths: int = BANK_PATHS, seed: int = BANK_SEED, grid: ExitGrid | None = None) -> Bank:
    """Draw paths, equally many of each type, and compute the outcome of every setting on each path."""
    grid = bank_grid() if grid is None else grid
    per_type = paths // len(PATH_TYPES)
    blocks = [_type_block(name, n=per_type, seed=(seed, place), grid=grid) for place, name in enumerate(PATH_TYPES)]
    outcomes, liquidated, liquidated_from, *minutes, sigma, worst, best = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    stop_minute, target_minute, liquidated_minute = minutes
    type_means, type_squares = _type_moments((outcomes, liquidated, liquidated_from), per_type=per_type)
    return Bank(
        grid=grid,
        outcomes=outcomes,
        liquidated=liquidated,
        liquidated_from=liquidated_from,
        stop_minute=stop_minute,
        target_minute=target_minute,
        liquidated_minute=liquidated_minute,
        sigma=sigma,
        worst=worst,
        best=best,
        type_means=type_means,
        type_squares=type_squares,
        per_type=per_type,
    )


def _type_block(name: str, *, n: int, seed: tuple[int, int], grid: ExitGrid) -> tuple[NDArray[Any], ...]:
    """Draw the paths of one type; return their arrays, sorted by the last move."""
    rng = np.random.default_rng(seed)
    parts: list[tuple[NDArray[Any], ...]] = []
    for start in range(0, n, _BLOCK):
        moves, sigma = _draw_paths(name, rng=rng, n=min(_BLOCK, n - start))
        parts.append((*_outcomes(moves, sigma, grid), sigma, moves.min(axis=1) / sigma, moves.max(axis=1) / sigma, moves[:, -1]))
    arrays = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    order = np.argsort(arrays[-1], kind="stable")
    return tuple(array[order] for array in arrays[:-1])


def _draw_paths(name: str, *, rng: np.random.Generator, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return moves of shape (n, STEPS) and the volatility known at entry; n must be even, as the second half mirrors the first's noise."""
    half = n // 2
    steps = rng.standard_normal((half, STEPS), dtype=np.float32)
    tails = TAIL_DEGREES / rng.chisquare(TAIL_DEGREES, (half, STEPS // TAIL_MINUTES)) * (TAIL_DEGREES - 2.0) / TAIL_DEGREES
    sigma = SIGMA * np.exp(SIGMA_SPREAD * rng.standard_normal(half))
    realised = sigma * np.exp(SIGMA_ERROR * rng.standard_normal(half) - SIGMA_ERROR**2 / 2.0)
    steps *= np.repeat(np.sqrt(tails), TAIL_MINUTES, axis=1).astype(np.float32)
    noise = np.cumsum(steps, axis=1) * (realised / np.sqrt(STEPS)).astype(np.float32)[:, None]
    amplitude = rng.uniform(*AMPLITUDES, 2 * half)
    sigma = np.concatenate([sigma, sigma])
    knots, heights = np.array(_SHAPES[name]).T
    drift = np.interp(np.arange(1, STEPS + 1) / STEPS, knots, heights)
    moves = np.concatenate([noise, -noise]) + (amplitude * sigma)[:, None] * drift
    return moves.astype(np.float32), sigma.astype(np.float32)


def _outcomes(moves: NDArray[np.float32], sigma: NDArray[np.float32], grid: ExitGrid) -> tuple[NDArray[Any], ...]:
    leverages = bin_leverages()
    n, shape = len(moves), grid.shape
    outcomes = np.empty((n, *shape), dtype=np.float32)
    liquidated = np.empty((n, len(leverages), shape[1]), dtype=np.float32)
    liquidated_from = np.empty((n, len(leverages)), dtype=np.int16)
    minutes = tuple(np.empty((n, levels), dtype=np.int16) for levels in (*shape, len(leverages)))
    costs = (TAKER, MAKER, SLIPPAGE, STOP_SLIPPAGE, FUNDING)
    _walk(
        moves, sigma, (grid.stops, grid.targets), (1.0 / leverages, MAINTENANCE), costs, (outcomes, liquidated, liquidated_from, *minutes)
    )
    return outcomes, liquidated, liquidated_from, *minutes


def _type_moments(tables: tuple[NDArray[Any], ...], *, per_type: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    bins = tables[1].shape[1]
    paths = np.arange(per_type * len(PATH_TYPES))
    means, mean_squares = [], []
    for leverage_bin in range(bins):
        trades = (paths, np.full(len(paths), leverage_bin), paths // per_type)
        totals, squares = np.zeros((2, len(PATH_TYPES), *tables[0].shape[1:]))
        _accumulate(tables, trades, totals, squares)
        means.append(totals / per_type)
        mean_squares.append(squares / per_type)
    return np.stack(means), np.stack(mean_squares)


@numba.njit(cache=True)
def _walk(moves: Any, sigmas: Any, levels: Any, margins_kept: Any, costs: Any, out: Any) -> None:  # noqa: PLR0917  # no keywords in numba
    """Fill the outcome arrays, path by path.

    The first minute that reaches each level is found once for each path. Stop or target decides a setting's outcome, whichever is earlier.
    """
    stops, targets = levels
    margins, maintenance = margins_kept
    outcomes, liquidated, liquidated_from, stop_minute, target_minute, liquidated_minute = out
    steps = moves.shape[1]
    target_at, target_net = np.empty(len(targets), np.int64), np.empty(len(targets))
    stop_at, stop_net = np.empty(len(stops), np.int64), np.empty(len(stops))
    dead_at, dead_net = np.empty(len(margins), np.int64), np.empty(len(margins))
    for k in range(len(moves)):
        path, sigma = moves[k], sigmas[k]
        last = path[steps - 1] - 2.0 * costs[0] - 2.0 * costs[2] - costs[4]
        _first_above(path, targets * sigma, costs, last, target_at, target_net)
        _first_below(path, stops * sigma, costs, last, stop_at, stop_net)
        rooms = margins[::-1] - maintenance  # ascending, as `_first_below` requires
        _first_below(path, rooms, costs, last, dead_at, dead_net)
        stop_minute[k], target_minute[k] = stop_at, target_at
        for s in range(len(stops)):
            for t in range(len(targets)):
                outcomes[k, s, t] = stop_net[s] if stop_at[s] < target_at[t] else target_net[t]
        for b in range(len(margins)):
            dead = dead_at[len(margins) - 1 - b]
            liquidated_minute[k, b] = dead
            liquidated_from[k, b] = np.searchsorted(stops * sigma, margins[b] - maintenance)
            for t in range(len(targets)):
                liquidated[k, b, t] = -margins[b] - costs[0] if dead < target_at[t] else target_net[t]


@numba.njit(cache=True)
def _first_above(path: Any, levels: Any, costs: Any, last: float, at: Any, net: Any) -> None:  # noqa: PLR0917  # as above
    """Write the first minute at or above each ascending level, and the net move of an exit there by a limit order, with the maker fee."""
    taker, maker, slippage, _, funding = costs
    i, steps = 0, len(path)
    for k in range(len(levels)):
        while i < steps and path[i] < levels[k]:
            i += 1
        at[k] = i
        net[k] = path[i] - taker - slippage - maker - funding * (i + 1) / steps if i < steps else last


@numba.njit(cache=True)
def _first_below(path: Any, levels: Any, costs: Any, last: float, at: Any, net: Any) -> None:  # noqa: PLR0917  # as above
    """Write the first minute at or below minus each ascending level, and the net move of a market exit there, with stop slippage."""
    taker, _, slippage, stop_slippage, funding = costs
    i, steps = 0, len(path)
    for k in range(len(levels)):
        while i < steps and path[i] > -levels[k]:
            i += 1
        at[k] = i
        net[k] = path[i] - 2.0 * taker - 2.0 * slippage - stop_slippage - funding * (i + 1) / steps if i < steps else last


@numba.njit(cache=True)
def _accumulate(bank: Any, trades: Any, totals: Any, squares: Any) -> None:
    outcomes, liquidated, liquidated_from = bank
    paths, bins, groups = trades
    stops, targets = outcomes.shape[1], outcomes.shape[2]
    for i in range(len(paths)):
        path, leverage_bin, group = paths[i], bins[i], groups[i]
        first = liquidated_from[path, leverage_bin]
        for s in range(stops):
            for t in range(targets):
                net = float(outcomes[path, s, t]) if s < first else float(liquidated[path, leverage_bin, t])
                totals[group, s, t] += net
                squares[group, s, t] += net * net


@numba.njit(cache=True)
def _accumulate_losses(bank: Any, trades: Any, losses: Any, counts: Any) -> None:
    outcomes, liquidated, liquidated_from = bank
    paths, bins, groups = trades
    stops, targets = outcomes.shape[1], outcomes.shape[2]
    for i in range(len(paths)):
        path, leverage_bin, group = paths[i], bins[i], groups[i]
        first = liquidated_from[path, leverage_bin]
        for s in range(stops):
            for t in range(targets):
                net = outcomes[path, s, t] if s < first else liquidated[path, leverage_bin, t]
                if net <= 0.0:
                    losses[group, s, t] += net
                    counts[group, s, t] += 1.0


def sum_losses(
    bank: Bank, *, paths: NDArray[np.int64], bins: NDArray[np.int64], groups: NDArray[np.int64], n_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the number of the outcomes at or below 0 of trades, each of shape (groups, stops, targets)."""
    losses, counts = np.zeros((n_groups, *bank.grid.shape)), np.zeros((n_groups, *bank.grid.shape))
    _accumulate_losses((bank.outcomes, bank.liquidated, bank.liquidated_from), (paths, bins, groups), losses, counts)
    return losses, counts


def sum_paths(
    bank: Bank, *, paths: NDArray[np.int64], bins: NDArray[np.int64], groups: NDArray[np.int64], n_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and sums of squares of the outcomes of trades, each of shape (groups, stops, targets)."""
    totals, squares = np.zeros((n_groups, *bank.grid.shape)), np.zeros((n_groups, *bank.grid.shape))
    _accumulate((bank.outcomes, bank.liquidated, bank.liquidated_from), (paths, bins, groups), totals, squares)
    return totals, squares


def outcomes_at(
    bank: Bank, *, paths: NDArray[np.int64], bins: NDArray[np.int64], stop: NDArray[np.int64], target: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the net move of each trade under its own stop and target (indices of the grid)."""
    free = stop < bank.liquidated_from[paths, bins]
    nets: NDArray[np.float64] = np.where(free, bank.outcomes[paths, stop, target], bank.liquidated[paths, bins, target]).astype(np.float64)
    return nets


def minutes_at(
    bank: Bank, *, paths: NDArray[np.int64], bins: NDArray[np.int64], stop: NDArray[np.int64], target: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the index of the minute in which each trade ends under its own stop and target (indices of the grid)."""
    free = stop < bank.liquidated_from[paths, bins]
    lost = np.where(free, bank.stop_minute[paths, stop], bank.liquidated_minute[paths, bins])
    minutes: NDArray[np.int64] = np.minimum(np.minimum(lost, bank.target_minute[paths, target]), STEPS - 1).astype(np.int64)
    return minutes
