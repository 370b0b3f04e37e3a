"""Worlds that win a little nearly always and lose a lot together: where a bound on permissions is hardest to hold.

Every trade ends at its stop of 3.55 or at its target of 0.37 sigma, with the probabilities that make it worth exactly 0. All trades of a
day, of all nodes and both directions, follow one market by a Gaussian copula: with a correlation of 1 they are one trade. Bets for an edge
of 20 bps are laid on every node, whatever it earned. Sigma is so large that the summed bets of a day can win or lose more than everything.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtri

from benchmarks.planted_gates import FORCED_BET, STOPPED_COSTS
from benchmarks.planted_world import DAYS, DIRECTIONS, PAIRS
from bot3.learning.gates import DayTrades, closed_gates, fold_day, open_nodes, worst_losses

STOP_SIGMA, TARGET_SIGMA, SIGMA = 3.55, 0.37, 0.05
NODES = PAIRS * DIRECTIONS
SKEWED_SEED = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """A kind of skewed world: trades of a node and day, and how much they move together (1: as one)."""

    each_day: int
    correlation: float

    def __str__(self) -> str:
        return f"{self.each_day} a day, correlation {self.correlation:g}"


SKEWS = tuple(Skew(each_day=each_day, correlation=correlation) for each_day in (5, 20) for correlation in (0.2, 0.5, 1.0))


def study_skewed(*, worlds: int, processes: int = 1) -> dict[str, int]:
    """Return, by kind of world, in how many of them a node was open on any day of a year."""
    seeds = range(SKEWED_SEED, SKEWED_SEED + worlds)
    if processes <= 1:
        return {str(skew): sum(opens_ever(seed, skew=skew) for seed in seeds) for skew in SKEWS}
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return {str(skew): sum(pool.map(partial(opens_ever, skew=skew), seeds, chunksize=10)) for skew in SKEWS}


def opens_ever(seed: int, *, skew: Skew) -> bool:
    """Return whether any node is open on any day of one world's year."""
    rng = np.random.default_rng((seed, skew.each_day, round(skew.correlation * 1000)))
    gates = closed_gates(np.arange(NODES))
    for day in range(DAYS):
        gates = fold_day(gates, day=day, trades=draw_day(rng, skew), bets=np.full(NODES, FORCED_BET))
        if open_nodes(gates).any():
            return True
    return False


def draw_day(rng: np.random.Generator, skew: Skew) -> DayTrades:
    """Draw the trades of a day."""
    n = NODES * skew.each_day
    latent = np.sqrt(skew.correlation) * rng.standard_normal() + np.sqrt(1.0 - skew.correlation) * rng.standard_normal(n)
    is_stopped = latent < ndtri(TARGET_SIGMA / (STOP_SIGMA + TARGET_SIGMA))
    worst = worst_losses(np.full(n, STOP_SIGMA), sigma=np.full(n, SIGMA), leverage=np.ones(n), costs=STOPPED_COSTS)
    net = np.where(is_stopped, -STOP_SIGMA, TARGET_SIGMA) * SIGMA
    return DayTrades(bins=np.tile(np.arange(NODES), skew.each_day), net=net, worst=worst)
