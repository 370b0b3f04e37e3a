"""Measure how often the gate permits a cell to trade rightly and wrongly, if it is reviewed daily for a year.

A cell is a pair, direction and leverage bin; a node is a pair and direction. A cell may trade ("raised") if the gate opened its node and
the lower bound of its expectancy is above 0. Learner, use case and gate are production's (`planted_learner.py` describes what replaces
candles). Production learns settings daily or more often. Here, to save time, they change every week to every quarter
(`tests/benchmarks/test_planted_gates.py` compares schedules on the same worlds), but the gate is reviewed every day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bank import Bank
from benchmarks.planted_learner import JudgedDays, PlantedFeed, Publications, cell_group, midnight
from benchmarks.planted_world import CELLS, DAYS, World
from bot3.learning.parameters.rows import state_of
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z, Posterior
from bot3.learning.promotion.permissions import NOBODY, GateLedger, Permission, reviewed
from bot3.learning.promotion.reviews import AccountGate, progress, row_in_force
from bot3.learning.replay.groups import Group, group_key, group_of_key
from bot3.trading.parameters import ExitParameters, ParameterSet, ParameterState
from bot3.usecases.learning.review_gates import review_gates

FIRST_DAY = 61
"""First day with published parameters: the scatter between periods can be estimated only after two complete periods."""
FORCED_EDGE = 0.0020
LOOK = timedelta(minutes=10)
"""Time from midnight to the review of a day."""
LIFE = timedelta(days=7)
QUARTERLY = tuple(range(FIRST_DAY, DAYS, 90))
MONTHLY = tuple(range(FIRST_DAY, DAYS, 30))
WEEKLY = tuple(range(FIRST_DAY, DAYS, 7))
_CELL = np.arange(CELLS)
GROUPS = [cell_group(cell) for cell in range(CELLS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Result of the review of a day.

    Parameters
    ----------
    day : int
        Day of the world.
    raised : frozenset of Group
        Cells that may trade.
    permission : Permission
        What the gate permits.
    ledger : GateLedger
        The gate's wealth after all days until then.
    forced_open : bool
        Whether the gate would have opened a node if every cell had been bet on.
    """

    day: int
    raised: frozenset[Group]
    permission: Permission
    ledger: GateLedger
    forced_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateYear:
    """A year of daily reviews.

    Parameters
    ----------
    ever, last : bool arrays of shape (cells,)
        Whether a cell might trade on any day, and on the last one.
    truth : array of shape (cells,)
        Exact expectancy of the setting of each cell that was published last.
    opened : bool
        Whether a node (pair x direction) was open on any day.
    best_evidence : float
        Highest log evidence of any node on any day.
    forced_opened : bool
        As `opened`, if bets for an edge of 20 bps were placed on every cell whatever was learned: a stress test of the bound.
    lower_bound_ever : bool array of shape (cells,)
        Whether the lower bound of a cell's published expectancy was ever above 0, which would suffice without a gate.
    """

    ever: NDArray[np.bool_]
    last: NDArray[np.bool_]
    truth: NDArray[np.float64]
    opened: bool
    best_evidence: float
    forced_opened: bool
    lower_bound_ever: NDArray[np.bool_]


def run_year(bank: Bank, world: World, *, shift: NDArray[np.float64] | None = None, days: tuple[int, ...] = MONTHLY) -> GateYear:
    """Review the gate every day of a year.

    Parameters
    ----------
    shift : array of shape (cells, stops, targets) or None
        Added to the outcome of every trade under every setting; None adds nothing. With minus the utility, every expectancy is 0.
    days : tuple of int
        Days on which parameters learned from the trades until then are published, ascending; the reviews begin on the first.
    """
    shift = np.zeros_like(world.utility) if shift is None else shift
    published = Publications()
    reviews = list(review_days(PlantedFeed(bank, world, shift=shift), published, days=days))
    flags = [_flags(review.raised) for review in reviews]
    return GateYear(
        ever=np.array(flags).max(axis=0),
        last=flags[-1],
        truth=_truth(bank, world.utility + shift, published.published[-1]),
        opened=any(review.permission.opened for review in reviews),
        best_evidence=max(best_evidence(review.ledger) for review in reviews),
        forced_opened=any(review.forced_open for review in reviews),
        lower_bound_ever=_flags(group for one in published.published for group in GROUPS if _is_above_0(one, group)),
    )


def review_days(feed: PlantedFeed, published: Publications, *, days: tuple[int, ...], closes_late: bool = False) -> Iterator[Review]:
    """Yield the review of each day from the first publication on; on the given days, parameters are published after the review.

    Parameters
    ----------
    closes_late : bool
        Whether trades may close after their horizon. If none does, all trades up to the next publication are ingested at once. A review
        then still reads only trades that are known at its time, but the gate may include a new pair some days early.
    """
    learner, gate, judged, forced = feed.learner, AccountGate(), JudgedDays(feed.learner), Publications()
    ledger: GateLedger | None = None
    stressed: GateLedger | None = None
    feed.take_in(now=midnight(days[0]) + LOOK)
    for start, end in pairwise((*days, DAYS)):
        for day in range(start, end):
            now = midnight(day) + LOOK
            if closes_late:
                feed.take_in(now=now)
            ledger = review_gates(published, judged, gate, ledger, now=now) or ledger
            stressed = review_gates(forced, judged, gate, stressed, now=now) or stressed
            if ledger is None or stressed is None:
                raise AssertionError("a first review must return a ledger")
            permission = reviewed(gate, ledger, before=NOBODY, closed=learner.censored_nodes())
            if day == start:
                published.published.append(learner.learn_all(now=now, computed_at=now, life=LIFE, revision=0, permission=permission))
                forced.published.append(_forced(published.published[-1]))
                if not closes_late:
                    feed.take_in(now=midnight(end) + LOOK)
            yield Review(
                day=day,
                raised=raised(published.published[-1], permission),
                permission=permission,
                ledger=ledger,
                forced_open=bool(gate.opened(stressed)),
            )


def raised(published: ParameterSet, permission: Permission) -> frozenset[Group]:
    """Return the groups whose state would be TRADE if the published rows were written with the permission of a review."""
    if not permission.opened:
        return frozenset()
    rows = published.rows.items()
    states = {
        group_of_key(key): state_of(_posterior(row), n_eff=row.n_eff, may_trade=permission.allows(group_of_key(key))) for key, row in rows
    }
    return frozenset(group for group, state in states.items() if state is ParameterState.TRADE)


def best_evidence(ledger: GateLedger) -> float:
    """Return the highest log evidence of any node in a ledger; 0 without nodes."""
    return max((of.log_evidence for of in progress(ledger).values()), default=0.0)


def _forced(published: ParameterSet) -> ParameterSet:
    """Return a publication with the same levels and version but a certain edge in every row, so that the gate bets on all of them."""
    rows = published.rows.items()
    return replace(
        published,
        rows={key: replace(row, expectancy=FORCED_EDGE, lower_bound=FORCED_EDGE, upper_bound=FORCED_EDGE) for key, row in rows},
    )


def _posterior(row: ExitParameters) -> Posterior:
    return Posterior(mean=row.expectancy, deviation=(row.upper_bound - row.lower_bound) / (2.0 * INTERVAL_Z))


def _is_above_0(published: ParameterSet, group: Group) -> bool:
    row = published.rows.get(group_key(group))
    return row is not None and row.lower_bound > 0.0


def _flags(groups: Iterator[Group] | frozenset[Group]) -> NDArray[np.bool_]:
    found = frozenset(groups)
    return np.array([group in found for group in GROUPS], dtype=np.bool_)


def _truth(bank: Bank, utility: NDArray[np.float64], published: ParameterSet) -> NDArray[np.float64]:
    rows = [row_in_force(published, group) for group in GROUPS]
    places = np.array([bank.grid.nearest(stop=-row.stop_sigma, target=row.take_profit_sigma) for row in rows])
    truth: NDArray[np.float64] = utility[_CELL, places[:, 0], places[:, 1]]
    return truth
