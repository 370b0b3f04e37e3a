"""Synthetic worlds with known truth: 120 cells whose expectancy under every stop and target is known exactly.

The worlds were fixed before any method was tuned (`tests/benchmarks/test_planted_world.py` checks the digest). Every cell (pair x
direction x leverage bin) mixes the five path types of the bank in its own proportions; its trades are drawn from the bank, so its true
expectancy is a weighted mean of the bank's. Trades that overlap in time share the market: a trade's position among the paths of its type
follows a Gaussian copula with the market's factor of its hours (reversed for shorts). The copula does not change the distribution of a
single trade, and so not the truth.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.planted_bank import PATH_TYPES, STEPS, Bank, outcomes_at

PAIRS, DIRECTIONS, BINS = 12, 2, 5
CELLS = PAIRS * DIRECTIONS * BINS
SIZES = (1, 5, 20, 100, 478, 1412)
DAYS = 365
HORIZON_DAYS = STEPS / 1440.0
MIX = (0.50, 0.12, 0.14, 0.11, 0.13)
PAIR_SD, DIRECTION_SD, BIN_SD, CELL_SD = 0.50, 0.25, 0.20, 0.30
DRIFT_SD = 0.50
EPOCHS = 12
CORRELATION = 0.2
OLD_SETTINGS = 16
_CELL = np.arange(CELLS)
PAIR_OF = _CELL // (DIRECTIONS * BINS)
DIRECTION_OF = _CELL // BINS % DIRECTIONS  # 0 long, 1 short
BIN_OF = _CELL % BINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """Closed trades, sorted by entry: cell, entry in days since the start, path of the bank, and stop and target in use (grid indices)."""

    cell: NDArray[np.int64]
    entry_days: NDArray[np.float64]
    path: NDArray[np.int64]
    old_stop: NDArray[np.int64]
    old_target: NDArray[np.int64]

    @property
    def day(self) -> NDArray[np.int64]:
        """Return the day of each entry, counted from the start."""
        return self.entry_days.astype(np.int64)

    def __len__(self) -> int:
        return len(self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The truth of a world and its trades.

    Parameters
    ----------
    weights : array of shape (epochs, cells, types)
        Share of each path type. The truth is that of the last epoch, the one closest to the trades for which a setting is chosen.
    utility : array of shape (cells, stops, targets)
        Exact net expectancy in the last epoch, as a ratio of the price.
    deviation : array of shape (cells, stops, targets)
        Exact standard deviation of a trade's net move in the last epoch, as a ratio of the price.
    sizes : array of shape (cells,)
        Number of trades of each cell.
    """

    weights: NDArray[np.float64]
    utility: NDArray[np.float64]
    deviation: NDArray[np.float64]
    sizes: NDArray[np.int64]
    trades: Trades


def make_world(
    bank: Bank, *, seed: int, heterogeneity: float = 1.0, drift: float = 0.0, correlation: float = CORRELATION, skilled: bool = True
) -> World:
    """Draw a world; the same arguments draw the same one.

    Parameters
    ----------
    heterogeneity : float
        Factor on the differences between cells; at 0 all cells have the same mix of path types (without drift).
    drift : float
        Factor on the random walk of a cell's mix over the year; 0 is without drift.
    correlation : float
        Share of the market in the variance that determines a path's position, 0 to 1.
    skilled : bool
        Whether there may be an edge to find: if not, every path is symmetric noise, and every trade pays its costs.
    """
    rng = np.random.default_rng((seed, round(heterogeneity * 1000), round(drift * 1000), skilled))
    weights = _mixes(rng, heterogeneity=heterogeneity, drift=drift, skilled=skilled)
    sizes = rng.permutation(np.repeat(SIZES, CELLS // len(SIZES)))
    utility = true_utility(bank, weights[-1])
    squares = np.einsum("ck,ckst->cst", weights[-1], bank.type_squares[BIN_OF])
    return World(
        weights=weights,
        utility=utility,
        deviation=np.sqrt(squares - utility**2),
        sizes=sizes,
        trades=draw_trades(bank, rng, weights=weights, sizes=sizes, correlation=correlation),
    )


def _mixes(rng: np.random.Generator, *, heterogeneity: float, drift: float, skilled: bool) -> NDArray[np.float64]:
    types = len(PATH_TYPES)
    effects = (
        PAIR_SD * rng.standard_normal((PAIRS, types))[PAIR_OF]
        + DIRECTION_SD * rng.standard_normal((DIRECTIONS, types))[DIRECTION_OF]
        + BIN_SD * rng.standard_normal((BINS, types))[BIN_OF]
        + CELL_SD * rng.standard_normal((CELLS, types))
    )
    walk = np.cumsum(rng.standard_normal((EPOCHS, CELLS, types)), axis=0) * DRIFT_SD / np.sqrt(EPOCHS)
    if not skilled:
        return np.tile(np.eye(types)[0], (EPOCHS, CELLS, 1))
    logits = np.log(MIX) + heterogeneity * effects + drift * walk
    raw = np.exp(logits)
    mixes: NDArray[np.float64] = raw / raw.sum(axis=2, keepdims=True)
    return mixes


def true_utility(bank: Bank, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exact net expectancy of every setting in every cell for one epoch's weights, of shape (cells, stops, targets)."""
    utility: NDArray[np.float64] = np.einsum("ck,ckst->cst", weights, bank.type_means[BIN_OF])
    return utility


def draw_trades(
    bank: Bank, rng: np.random.Generator, *, weights: NDArray[np.float64], sizes: NDArray[np.int64], correlation: float
) -> Trades:
    """Draw the trades of a year, at random times and each under one of 16 settings; return them sorted by entry."""
    n = int(sizes.sum())
    cell = np.repeat(_CELL, sizes)
    entry_days = rng.uniform(0.0, DAYS, n)
    order = np.argsort(entry_days, kind="stable")
    cell, entry_days = cell[order], entry_days[order]
    grid = bank.grid
    old_stops = rng.integers(grid.nearest(stop=0.3, target=1.0)[0], grid.shape[0], OLD_SETTINGS)
    old_targets = rng.integers(grid.nearest(stop=1.0, target=0.3)[1], grid.shape[1], OLD_SETTINGS)
    old = rng.integers(0, OLD_SETTINGS, n)
    return Trades(
        cell=cell,
        entry_days=entry_days,
        path=draw_paths(bank, rng, weights=weights, cell=cell, entry_days=entry_days, correlation=correlation),
        old_stop=old_stops[old],
        old_target=old_targets[old],
    )


def draw_paths(
    bank: Bank,
    rng: np.random.Generator,
    *,
    weights: NDArray[np.float64],
    cell: NDArray[np.int64],
    entry_days: NDArray[np.float64],
    correlation: float,
) -> NDArray[np.int64]:
    """Draw the path of each trade: its type by the mix of its cell and epoch, its position within the type by the copula."""
    epoch = np.minimum((entry_days / DAYS * EPOCHS).astype(np.int64), EPOCHS - 1)
    edges = np.cumsum(weights, axis=2)[epoch, cell]
    kind = np.minimum((rng.random(len(cell))[:, None] >= edges).sum(axis=1), len(PATH_TYPES) - 1)
    side = np.where(DIRECTION_OF[cell] == 1, -1.0, 1.0)
    market = side * _market_factor(rng, entry_days)
    latent = np.sqrt(correlation) * market + np.sqrt(1.0 - correlation) * rng.standard_normal(len(cell))
    place = np.minimum((ndtr(latent) * bank.per_type).astype(np.int64), bank.per_type - 1)
    paths: NDArray[np.int64] = kind * bank.per_type + place
    return paths


def _market_factor(rng: np.random.Generator, entry_days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the market factor of each trade, standard normal: that of its day, mixed with the next day's by the hours in each."""
    days = rng.standard_normal(DAYS + 2)
    day = entry_days.astype(np.int64)
    after = np.clip((entry_days - day + HORIZON_DAYS - 1.0) / HORIZON_DAYS, 0.0, 1.0)
    mixed: NDArray[np.float64] = ((1.0 - after) * days[day] + after * days[day + 1]) / np.hypot(1.0 - after, after)
    return mixed


def realised(bank: Bank, trades: Trades) -> NDArray[np.float64]:
    """Return the net moves that the trades really earned, under the settings in use."""
    return outcomes_at(bank, paths=trades.path, bins=BIN_OF[trades.cell], stop=trades.old_stop, target=trades.old_target)


def world_digest(bank: Bank) -> str:
    """Return a digest of the worlds of one seed, at three heterogeneities and without an edge.

    It covers the exact expectancies (to 1e-6), the sizes, and the number of drawn paths of each type.
    """
    digest = hashlib.sha256()
    for heterogeneity, skilled in ((0.0, True), (1.0, True), (1.8, True), (1.0, False)):
        world = make_world(bank, seed=7, heterogeneity=heterogeneity, skilled=skilled)
        digest.update(np.round(world.utility * 1e6).astype(np.int64).tobytes())
        digest.update(world.sizes.astype(np.int64).tobytes())
        digest.update(np.bincount(world.trades.path // bank.per_type, minlength=len(PATH_TYPES)).astype(np.int64).tobytes())
    return digest.hexdigest()
