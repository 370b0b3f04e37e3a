"""Test how often the gate opens wrongly in worst-case worlds: frequent small wins, and rare large losses that occur together.

Every trade ends at its stop of 3.55 or at its target of 0.37 sigma, with the probabilities that make its expectancy exactly 0. All trades
of a day, of all pairs and both directions, follow one market by a Gaussian copula: with a correlation of 1 they have the same outcome. The
gate bets for an edge of 20 bps on every node (pair and direction), whatever it earned. Sigma is so large that the summed bets of a day can
exceed the whole wealth.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.planted_bank import FUNDING, SLIPPAGE, STOP_SLIPPAGE, TAKER
from benchmarks.planted_learner import HORIZON, START, midnight, pair_name
from benchmarks.planted_world import DAYS, PAIRS
from bot3.learning.promotion.accounts import SCALES, Accounts, Bets, first_cash, no_bets, worst_losses
from bot3.learning.promotion.closed_testing import selected
from bot3.learning.promotion.permissions import EnteredTrades
from bot3.learning.promotion.reviews import shares_on
from bot3.learning.promotion.settlement import fold
from bot3.learning.replay.groups import STATIC, Group
from bot3.market.instants import DAY_US
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
WORLDS_AT_ONCE = 50
FIRST = START.toordinal() - 719_163
"""First day of every world, in days since 1970."""


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
    parts = [seeds[start : start + WORLDS_AT_ONCE] for start in range(0, len(seeds), WORLDS_AT_ONCE)]
    if processes <= 1:
        return sum(int(open_ever(part, skew=skew).sum()) for part in parts)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return sum(int(flags.sum()) for flags in pool.map(partial(open_ever, skew=skew), parts))


def open_ever(seeds: Sequence[int], *, skew: Skew) -> NDArray[np.bool_]:
    """Return for each world, by its seed, whether any node is open on any day of its year."""
    return worlds_settled(seeds, skew=skew)[0]


def worlds_settled(seeds: Sequence[int], *, skew: Skew, days: int = DAYS) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return for each world whether any node is open on any of some days, and the evidence of its nodes at the end.

    All worlds are settled together by the rule of `AccountGate` (`accounts.fold`, then `closed_testing.selected` for each world), because
    the accounts of one world do not affect another; `tests/benchmarks/test_planted_gates.py` compares them with the gate.
    """
    rngs = [np.random.default_rng((seed, skew.each_day, round(skew.correlation * 1000))) for seed in seeds]
    accounts, ever = _started(len(seeds)), np.zeros(len(seeds), dtype=np.bool_)
    evidence = accounts.evidence().reshape(len(seeds), len(CELLS))
    share = shares_on(CELLS[:1], certain_edges())[CELLS[0]]
    for day in range(FIRST, FIRST + days):
        drawn = [draw_day(rng, skew, day=day) for rng in rngs]
        accounts = fold(accounts, _bets(drawn, share=share), until_us=(day + 1) * DAY_US)
        evidence = accounts.evidence().reshape(len(seeds), len(CELLS))
        ever |= np.array([bool(selected(own).any()) for own in evidence])
    return ever, evidence


def _started(worlds: int) -> Accounts:
    start, number = np.ones(worlds * len(CELLS)), np.ones(worlds * len(CELLS), dtype=np.int64)
    cash = np.repeat(first_cash(start, number)[:, None], len(SCALES), axis=1)
    return Accounts(start=start, number=number, cash=cash, shortfall=np.zeros(len(start)), bets=no_bets())


def _bets(drawn: Sequence[EnteredTrades], *, share: float) -> Bets:
    """Return the trades of all worlds on one day; the nodes of a world follow those of the world before it."""
    own = np.arange(len(drawn[0].cells)) % len(CELLS)
    columns = {name: np.concatenate([getattr(day, name) for day in drawn]) for name in ("opened_us", "ended_us", "net", "worst")}
    return Bets(
        node=(own + len(CELLS) * np.arange(len(drawn))[:, None]).ravel(),
        stakes=np.full((len(columns["net"]), len(SCALES)), share) * np.array(SCALES),
        **columns,
    )


def draw_day(rng: np.random.Generator, skew: Skew, *, day: int) -> EnteredTrades:
    """Draw the trades of a day (days since 1970), with their net moves and worst losses: all enter at noon and are open for the horizon."""
    n = len(CELLS) * skew.each_day
    latent = np.sqrt(skew.correlation) * rng.standard_normal() + np.sqrt(1.0 - skew.correlation) * rng.standard_normal(n)
    is_stopped = latent < ndtri(TARGET_SIGMA / (STOP_SIGMA + TARGET_SIGMA))
    worst = worst_losses(np.full(n, STOP_SIGMA), sigma=np.full(n, SIGMA), leverage=np.ones(n), costs=STOPPED_COSTS)
    opened_us = np.full(n, day * DAY_US + DAY_US // 2)
    return EnteredTrades(
        cells=CELLS * skew.each_day,
        opened_us=opened_us,
        ended_us=opened_us + HORIZON // timedelta(microseconds=1),
        net=np.where(is_stopped, -STOP_SIGMA, TARGET_SIGMA) * SIGMA,
        worst=worst,
    )


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
