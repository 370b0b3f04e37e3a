"""Measure how often the gate permits trading wrongly in worlds without an edge, and rightly in worlds with one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from benchmarks.planted_bank import Bank
from benchmarks.planted_gates import QUARTERLY, GateYear, run_year
from benchmarks.planted_methods import MIN_TRADES, Sample, naive_best_average, replay_argmax, take_sample
from benchmarks.planted_world import CELLS, SIZES, make_world
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z

NULL_SEED = 1_000_000
WORTH = 0.0020
"""Expectancy above which a cell is worth finding: 20 bps."""
_CELL = np.arange(CELLS)
_Row = tuple[bool, bool, bool, bool, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NullStudy:
    """Number of worlds without an edge (`worlds`), and of those in which each event happened on any day of a year.

    The events: a cell might trade (`raised`); a node was open (`opened`); one would have been open if bets for an edge of 20 bps were
    placed on every cell (`forced`); the lower bound of a cell's expectancy was above 0 (`lower_bound`). `best_evidence` is the highest log
    evidence of any node of any world.
    """

    worlds: int
    raised: int
    opened: int
    forced: int
    lower_bound: int
    best_evidence: float

    def upper(self, count: int) -> float:
        """Return the one-sided upper 95 % Clopper-Pearson bound of the probability of an event seen in `count` worlds."""
        return clopper_pearson_upper(count, self.worlds)


def clopper_pearson_upper(count: int, n: int, *, level: float = 0.95) -> float:
    """Return the one-sided upper bound of the probability of an event seen `count` of `n` times."""
    return 1.0 if count >= n else float(beta.ppf(level, count + 1, n - count))


def study_nulls(bank: Bank, *, worlds: int, zero_cost: bool, processes: int = 1) -> NullStudy:
    """Review the gate daily for a year in worlds without an edge; settings change every quarter.

    Parameters
    ----------
    zero_cost : bool
        Whether the average cost of its setting is returned to every trade, so that every setting of every cell has an expectancy of exactly
        0: the hardest world without an edge. Otherwise trades pay their costs.
    """
    years = _map(_null_row, [(seed, zero_cost) for seed in range(NULL_SEED, NULL_SEED + worlds)], bank=bank, processes=processes)
    *flags, best = (np.array(column) for column in zip(*years, strict=True))
    raised, opened, forced, lower_bound = (int(flag.sum()) for flag in flags)
    return NullStudy(worlds=worlds, raised=raised, opened=opened, forced=forced, lower_bound=lower_bound, best_evidence=float(best.max()))


class _Shared:
    """The bank, which forked processes inherit because it is too large to send to each."""

    bank: Bank


def _null_row(task: tuple[int, bool]) -> _Row:
    seed, zero_cost = task
    world = make_world(_Shared.bank, seed=seed, skilled=False)
    year = run_year(_Shared.bank, world, shift=-world.utility if zero_cost else None, days=QUARTERLY)
    return bool(year.ever.any()), year.opened, year.forced_opened, bool(year.lower_bound_ever.any()), year.best_evidence


def _map(function: Callable[[tuple[int, bool]], _Row], tasks: Sequence[tuple[int, bool]], *, bank: Bank, processes: int) -> list[_Row]:
    _Shared.bank = bank
    if processes <= 1:
        return [function(task) for task in tasks]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return pool.map(function, tasks, chunksize=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the gate permitted by the end of a year, over all cells of all worlds; a value is None if there is no cell to compute it from.

    Parameters
    ----------
    worlds : int
        Number of worlds.
    share : float or None
        Share of the cells worth finding (true expectancy above `WORTH`) that may trade on the last day.
    found : dict
        The same by size of the cell.
    wrong_share, wrong_share_ever : float or None
        Share of the cells that may trade on the last day, or might on any day, whose true expectancy is not above 0.
    raised : float
        Cells of a world that may trade on the last day, on average.
    raised_bps : float or None
        Mean true expectancy of these cells in bps.
    """

    worlds: int
    share: float | None
    found: dict[str, float | None]
    wrong_share: float | None
    wrong_share_ever: float | None
    raised: float
    raised_bps: float | None


def study_power(bank: Bank, *, seeds: Sequence[int], heterogeneity: float) -> Power:
    """Review the gate daily for a year in worlds with an edge, of which there must be at least one; settings change every month."""
    years: list[tuple[GateYear, NDArray[np.int64]]] = []
    for seed in seeds:
        world = make_world(bank, seed=seed, heterogeneity=heterogeneity)
        years.append((run_year(bank, world), world.sizes))
    last = np.concatenate([year.last for year, _ in years])
    ever = np.concatenate([year.ever for year, _ in years])
    truth = np.concatenate([year.truth for year, _ in years])
    sizes = np.concatenate([size for _, size in years])
    worth = truth > WORTH
    return Power(
        worlds=len(years),
        share=_share(last[worth]),
        found={str(size): _share(last[worth & (sizes == size)]) for size in SIZES},
        wrong_share=_share(truth[last] <= 0.0),
        wrong_share_ever=_share(truth[ever] <= 0.0),
        raised=round(float(last.sum()) / len(years), 2),
        raised_bps=round(float(truth[last].mean() * 1e4), 2) if last.any() else None,
    )


def _share(flags: NDArray[np.bool_]) -> float | None:
    """Return the share of true flags; None without flags."""
    return round(float(flags.mean()), 4) if len(flags) else None


def rival_gates(bank: Bank, *, worlds: int) -> dict[str, dict[str, float]]:
    """Return, for each rival gate, the share of worlds without an edge in which it permits any cell, and how many of 120 on average.

    Rival gates decide once, with the trades of the whole year; every permission is wrong.
    """
    wrong: dict[str, list[int]] = {}
    for seed in range(NULL_SEED, NULL_SEED + worlds):
        sample = take_sample(bank, make_world(bank, seed=seed, skilled=False))
        for name, flags in _rival_flags(sample).items():
            wrong.setdefault(name, []).append(int(flags.sum()))
    return {
        name: {"any_wrong": round(float(np.mean(np.array(counts) > 0)), 4), "wrong_bins": round(float(np.mean(counts)), 2)}
        for name, counts in wrong.items()
    }


def _rival_flags(sample: Sample) -> dict[str, NDArray[np.bool_]]:
    enough = sample.n >= MIN_TRADES
    naive, argmax = naive_best_average(sample), replay_argmax(sample)
    mean = sample.totals[_CELL, argmax.stop, argmax.target] / sample.n
    square = sample.squares[_CELL, argmax.stop, argmax.target] / sample.n
    error = np.sqrt(np.maximum(square - mean**2, 0.0) / np.maximum(sample.n - 1.0, 1.0))
    return {
        "best_realised_average_above_0": enough & (naive.reported > 0.0),
        "replay_argmax_above_0": enough & (argmax.reported > 0.0),
        "replay_argmax_t_test": enough & (mean > INTERVAL_Z * error),
    }
