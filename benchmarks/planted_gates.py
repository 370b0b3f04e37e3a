"""How often gates let a bin trade that should not, and how often one that should, reviewed daily over a year as in production.

A year costs as many relearnings as settings change in it. Production relearns daily and more; here settings change monthly, which is as
predictable as daily (`tests/benchmarks/test_planted_gates.py` compares the two on the same worlds).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bank import Bank, outcomes_at, sum_paths
from benchmarks.planted_methods import STATIC_SIGMA, STATIC_STRENGTH, static_surface
from benchmarks.planted_world import BIN_OF, CELLS, DAYS, DIRECTION_OF, DIRECTIONS, EPOCHS, HORIZON_DAYS, PAIR_OF, World
from bot3.learning.evidence import Evidence
from bot3.learning.gates import bet_sizes, closed_gates, fold_day, open_nodes, review
from bot3.learning.pooling import INTERVAL_Z
from bot3.learning.surface_model import fit_model
from bot3.learning.surfaces import PoolingModel, posterior_surfaces, refreshed

FIRST_DAY = 61
"""Two periods must be over before their scatter can be learned."""
REFIT_DAYS = 150
FORCED_BET = 0.0020 / 0.025**2
SETTLING_DAYS = 1  # a day's last trades end during the next one
MONTHLY = tuple(range(FIRST_DAY, DAYS, 30))
DAILY = tuple(range(FIRST_DAY, DAYS))
NODE_OF = PAIR_OF * DIRECTIONS + DIRECTION_OF
_CELL = np.arange(CELLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came into force on a day, arrays of shape (cells,): setting, bet, and the posterior's lower bound."""

    day: int
    stop: NDArray[np.int64]
    target: NDArray[np.int64]
    bet: NDArray[np.float64]
    lower: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateYear:
    """A year of daily reviews.

    Parameters
    ----------
    ever, last : bool arrays of shape (cells,)
        Whether a cell was raised on any day, and on the last one.
    truth : array of shape (cells,)
        Exact expectancy of the setting last in force.
    open_ever : bool array of shape (nodes,)
        Whether a node (pair x direction) was open on any day.
    best_evidence : float
        Highest log evidence of any node on any day.
    forced_open_ever : bool array of shape (nodes,)
        As `open_ever`, had bets for an edge of 20 bps been laid on every bin whatever was learned: what the bound is worth under stress.
    lower_bound_ever : bool array of shape (cells,)
        Whether the pooled posterior's lower bound was ever above 0: what a gate without betting would have raised.
    """

    ever: NDArray[np.bool_]
    last: NDArray[np.bool_]
    truth: NDArray[np.float64]
    open_ever: NDArray[np.bool_]
    best_evidence: float
    forced_open_ever: NDArray[np.bool_]
    lower_bound_ever: NDArray[np.bool_]


def run_year(bank: Bank, world: World, *, shift: NDArray[np.float64] | None = None, days: tuple[int, ...] = MONTHLY) -> GateYear:
    """Review the gates every day of a year.

    Parameters
    ----------
    shift : array of shape (cells, stops, targets) or None
        Added to the outcome of every trade under every setting; minus the utility makes a world in which nothing earns or loses.
    days : tuple of int
        Days on which what was learned until then comes into force.
    """
    shift = np.zeros_like(world.utility) if shift is None else shift
    published = [_blind(bank), *learn_on_days(bank, world, shift=shift, days=days)]
    in_force = np.searchsorted([row.day for row in published], np.arange(DAYS), side="right") - 1
    totals = day_totals(bank, world, published, in_force=in_force, shift=shift)
    gates, forced, best = closed_gates(NODE_OF), closed_gates(NODE_OF), 0.0
    ever, open_ever, forced_ever = gates.raised, open_nodes(gates), open_nodes(forced)
    for day in range(DAYS - SETTLING_DAYS):
        gates = fold_day(gates, day=day, totals=totals[day], bets=published[in_force[day]].bet)
        forced = fold_day(forced, day=day, totals=totals[day], bets=np.full(CELLS, FORCED_BET))
        gates = review(gates, lower_bounds=published[in_force[day + SETTLING_DAYS]].lower)
        ever, open_ever, forced_ever = ever | gates.raised, open_ever | open_nodes(gates), forced_ever | open_nodes(forced)
        best = max(best, float(gates.log_evidence.max()))
    last = published[-1]
    return GateYear(
        ever=ever,
        last=gates.raised,
        truth=(world.utility + shift)[_CELL, last.stop, last.target],
        open_ever=open_ever,
        best_evidence=best,
        forced_open_ever=forced_ever,
        lower_bound_ever=np.stack([row.lower for row in published]).max(axis=0) > 0.0,
    )


def learn_on_days(bank: Bank, world: World, *, shift: NDArray[np.float64], days: tuple[int, ...]) -> Iterator[Published]:
    """Learn on each of some days from the trades that were over by then."""
    trades, prior = world.trades, static_surface(bank.grid)
    period = np.minimum((trades.entry_days / DAYS * EPOCHS).astype(np.int64), EPOCHS - 1)
    n: NDArray[np.float64] = np.zeros((CELLS, EPOCHS))
    totals: NDArray[np.float64] = np.zeros((CELLS, EPOCHS, *bank.grid.shape))
    start, fitted, model = 0, -DAYS, None
    for day in days:
        end = int(np.searchsorted(trades.entry_days, day - HORIZON_DAYS))
        for at in np.unique(period[start:end]):
            rows = np.flatnonzero(period[start:end] == at) + start
            counts, sums = _summed(bank, world, rows)
            n[:, at] += counts
            totals[:, at] += sums + counts[:, None, None] * shift
        seen = int(period[end - 1]) + 1
        if model is None or day - fitted >= REFIT_DAYS:
            past = _evidence(n[:, :seen], totals[:, :seen])
            model, fitted = fit_model(past, prior=prior, strength=STATIC_STRENGTH, deviation=STATIC_SIGMA), day
        start = end
        # Periods all weigh the same here, so one sum over them tells all that the posterior needs.
        yield _publish(_evidence(n.sum(axis=1, keepdims=True), totals.sum(axis=1, keepdims=True)), model, day=day)


def _evidence(n: NDArray[np.float64], totals: NDArray[np.float64]) -> Evidence:
    return Evidence(n=n, totals=totals, pair=PAIR_OF, direction=DIRECTION_OF, leverage_bin=BIN_OF)


def _summed(bank: Bank, world: World, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts and summed outcomes of some trades by cell."""
    cell = world.trades.cell[rows]
    sums, _ = sum_paths(bank, paths=world.trades.path[rows], bins=BIN_OF[cell], groups=cell, n_groups=CELLS)
    return np.bincount(cell, minlength=CELLS).astype(np.float64), sums


def _publish(past: Evidence, model: PoolingModel, *, day: int) -> Published:
    surfaces = posterior_surfaces(past, refreshed(past, model, weights=np.ones(past.n.shape[1])))
    cells = surfaces.best()
    mean, deviation = surfaces.told(cells)
    bet = bet_sizes(mean, deviation, variances=surfaces.trade_variance(cells))
    return Published(day=day, stop=cells[:, 0], target=cells[:, 1], bet=bet, lower=mean - INTERVAL_Z * deviation)


def _blind(bank: Bank) -> Published:
    stop, target = bank.grid.nearest(stop=1.0, target=1.0)
    zeros = np.zeros(CELLS)
    return Published(day=0, stop=np.full(CELLS, stop), target=np.full(CELLS, target), bet=zeros, lower=zeros)


def day_totals(
    bank: Bank, world: World, published: list[Published], *, in_force: NDArray[np.int64], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the summed outcomes of each day's entries under the setting then in force, of shape (days, cells)."""
    trades = world.trades
    which = in_force[trades.day]
    stop = np.stack([row.stop for row in published])[which, trades.cell]
    target = np.stack([row.target for row in published])[which, trades.cell]
    nets = outcomes_at(bank, paths=trades.path, bins=BIN_OF[trades.cell], stop=stop, target=target) + shift[trades.cell, stop, target]
    totals = np.bincount(trades.day * CELLS + trades.cell, weights=nets, minlength=DAYS * CELLS)
    return totals.astype(np.float64).reshape(DAYS, CELLS)
