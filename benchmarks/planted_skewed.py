"""Test how often the gate opens wrongly in worst-case worlds: frequent small wins, and rare large losses that occur together.

Every trade ends at its stop of 3.55 or at its target of 0.37 sigma, with the probabilities that make its expectancy exactly 0. All trades
of a day, of all pairs and both directions, follow one market by a Gaussian copula: with a correlation of 1 they have the same outcome. The
gate bets for an edge of 20 bps on every node (pair and direction), whatever it earned. Sigma is so large that the summed bets of a day can
exceed the whole wealth.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from scipy.special import ndtri

from benchmarks.planted_bank import FUNDING, SLIPPAGE, STOP_SLIPPAGE, TAKER
from benchmarks.planted_learner import HORIZON, START, midnight, pair_name
from benchmarks.planted_world import DAYS, PAIRS
from bot3.learning.promotion.e_process import worst_losses
from bot3.learning.promotion.permissions import EnteredTrades, Gate
from bot3.learning.promotion.reviews import BettingGate
from bot3.learning.replay.groups import STATIC, Group
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ExitParameters, ParameterSet, ParameterState
from bot3.trading.trades import DIRECTIONS

STOP_SIGMA, TARGET_SIGMA, SIGMA = 3.55, 0.37, 0.05
EDGE, SIGMA_PUBLISHED = 0.0020, 0.025
"""Published expectancy and volatility: a certain edge, and half the volatility of the trades, so that a bet is 3.2 times the net move."""
STOPPED_COSTS = 2.0 * (TAKER + SLIPPAGE) + STOP_SLIPPAGE + FUNDING
CELLS: tuple[Group, ...] = tuple((pair_name(pair), side, DEFAULT_BINS.names[0]) for pair in range(PAIRS) for side in DIRECTIONS)
SKEWED_SEED = 2_000_000
SHARE_FOR_ALL = 4
"""Every kind of world is studied in the number of worlds divided by this; the kind with the most openings, in all worlds."""
_FIRST = START.toordinal() - 719_163


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """A kind of skewed world: trades of each node a day, and the correlation of all trades of a day (1: the same outcome)."""

    each_day: int
    correlation: float

    def __str__(self) -> str:
        return f"{self.each_day} a day, correlation {self.correlation:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewStudy:
    """Number of worlds of a kind, and how many of them had an open node on any day of a year."""

    worlds: int
    opened: int


SKEWS = tuple(Skew(each_day=each_day, correlation=correlation) for each_day in (5, 20) for correlation in (0.2, 0.5, 1.0))


def study_skewed(*, worlds: int, processes: int = 1) -> dict[str, SkewStudy]:
    """Count the worlds with an open node, by kind of world: all kinds in a quarter of the worlds, then the worst kind in the rest too."""
    few = max(worlds // SHARE_FOR_ALL, 1)
    found = {skew: SkewStudy(worlds=few, opened=_opened(skew, range(few), processes=processes)) for skew in SKEWS}
    worst = max(SKEWS, key=lambda skew: found[skew].opened)
    more = _opened(worst, range(few, worlds), processes=processes)
    found[worst] = SkewStudy(worlds=max(few, worlds), opened=found[worst].opened + more)
    return {str(skew): study for skew, study in found.items()}


def _opened(skew: Skew, numbers: range, *, processes: int) -> int:
    seeds = [SKEWED_SEED + number for number in numbers]
    if processes <= 1:
        return sum(opens_ever(seed, skew=skew) for seed in seeds)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return sum(pool.map(partial(opens_ever, skew=skew), seeds, chunksize=10))


def opens_ever(seed: int, *, skew: Skew) -> bool:
    """Return whether any node is open on any day of the year of one world."""
    rng = np.random.default_rng((seed, skew.each_day, round(skew.correlation * 1000)))
    gate: Gate = BettingGate()
    ledger, published = gate.join(gate.start(day=_FIRST - 1), CELLS), certain_edges()
    for day in range(_FIRST, _FIRST + DAYS):
        ledger = gate.fold(ledger, day=day, trades=draw_day(rng, skew), published=published)
        if gate.opened(ledger, horizon=HORIZON):
            return True
    return False


def draw_day(rng: np.random.Generator, skew: Skew) -> EnteredTrades:
    """Draw the trades of a day, with their net moves and worst losses."""
    n = len(CELLS) * skew.each_day
    latent = np.sqrt(skew.correlation) * rng.standard_normal() + np.sqrt(1.0 - skew.correlation) * rng.standard_normal(n)
    is_stopped = latent < ndtri(TARGET_SIGMA / (STOP_SIGMA + TARGET_SIGMA))
    worst = worst_losses(np.full(n, STOP_SIGMA), sigma=np.full(n, SIGMA), leverage=np.ones(n), costs=STOPPED_COSTS)
    return EnteredTrades(cells=CELLS * skew.each_day, net=np.where(is_stopped, -STOP_SIGMA, TARGET_SIGMA) * SIGMA, worst=worst)


def certain_edges() -> ParameterSet:
    """Return published parameters with the same certain edge in every cell."""
    known_at = midnight(-1)
    rows = [_row(cell, known_at=known_at) for cell in CELLS]
    return ParameterSet(
        rows={row.key: row for row in rows},
        regime_factors={},
        version="skewed",
        revision=0,
        known_at=known_at,
        computed_at=known_at,
        expires_at=midnight(DAYS + 1),
    )


def _row(cell: Group, *, known_at: datetime) -> ExitParameters:
    pair, side, leverage_bin = cell
    return ExitParameters(
        pair=pair,
        direction=side,
        leverage_bin=leverage_bin,
        stop_loss=-STOP_SIGMA * SIGMA_PUBLISHED,
        take_profit_target=TARGET_SIGMA * SIGMA_PUBLISHED,
        stop_move=-STOP_SIGMA * SIGMA_PUBLISHED,
        take_profit_move=TARGET_SIGMA * SIGMA_PUBLISHED,
        stop_sigma=-STOP_SIGMA,
        take_profit_sigma=TARGET_SIGMA,
        sigma_ref=SIGMA_PUBLISHED,
        leverage_ref=1.0,
        trades_count=0,
        replays_count=0,
        n_eff=0.0,
        win_rate=None,
        avg_profit=None,
        profit_factor=None,
        expectancy=EDGE,
        lower_bound=EDGE,
        upper_bound=EDGE,
        confidence=1.0,
        own_share=1.0,
        parent=STATIC,
        ambiguous_share=0.0,
        state=ParameterState.PROBE,
        known_at=known_at,
        version="skewed",
    )
