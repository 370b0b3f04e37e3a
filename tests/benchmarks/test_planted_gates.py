"""The planted benchmark drives production's learner, use case and gate: what it measures is what trades."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from benchmarks import planted_skewed
from benchmarks.planted_bank import Bank, make_bank
from benchmarks.planted_gates import LIFE, LOOK, MONTHLY, QUARTERLY, WEEKLY, Review, review_days, run_year
from benchmarks.planted_learner import PlantedFeed, Publications, cell_group, midnight, pair_name, planted_settings, trade_frame
from benchmarks.planted_nulls import study_nulls
from benchmarks.planted_skewed import CELLS, SKEWS, Skew, certain_edges, draw_day, open_ever, study_skewed, worlds_settled
from benchmarks.planted_world import DIRECTION_OF, PAIR_OF, World, make_world, realised
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.learning.promotion.permissions import GateLedger
from bot3.learning.promotion.reviews import AccountGate, progress
from bot3.learning.replay.groups import Group, group_of_key
from bot3.trading.parameters import ParameterState
from bot3.trading.trades import DIRECTIONS
from bot3.usecases.learning.learn_params import learn_params
from bot3.usecases.learning.learner_session import LearnerSession

DAYS = tuple(range(40, 55))
HIDDEN_DAYS = (61, 75, 90, 105)
Daily = list[tuple[frozenset[Group], GateLedger]]


@cache
def bank() -> Bank:
    return make_bank(paths=10_000)


def world_of_pairs(pairs: int, *, seed: int = 3, heterogeneity: float = 1.0, skilled: bool = True) -> World:
    """Return a world of which only the first pairs were traded."""
    world = make_world(bank(), seed=seed, heterogeneity=heterogeneity, skilled=skilled)
    kept = np.flatnonzero(PAIR_OF[world.trades.cell] < pairs)
    trades = world.trades
    columns = {name: getattr(trades, name)[kept] for name in ("cell", "entry_days", "path", "old_stop", "old_target")}
    return replace(world, trades=replace(trades, **columns))


def longs_earn(world: World) -> NDArray[np.float64]:
    """Return a shift by which every long earns so much, whatever its setting, that two weeks of evidence open it."""
    return np.where(DIRECTION_OF == 0, 0.15, 0.0)[:, None, None] + np.zeros_like(world.utility)


def through_the_record(world: World, path: Path) -> Daily:
    """Learn and publish every day by the use case, on a record, and return what the record says afterwards."""
    record = SqlRecord.open(sqlite_url(path))
    feed, found = PlantedFeed(bank(), world, shift=longs_earn(world)), []
    session = LearnerSession(feed.learner)
    for now in (midnight(day) + LOOK for day in DAYS):
        feed.take_in(now=now)
        learn_params(record, session, now=now, computed_at=now, life=LIFE, trades_revision=0, full=True)
        rows = record.parameters.as_of(now).rows.items()
        trading = frozenset(group_of_key(key) for key, row in rows if row.state is ParameterState.TRADE)
        found.append((trading, replace(record.gates.as_of(now), replay_version=None)))
    record.close()
    return found


def of_the_benchmark(world: World) -> list[Review]:
    days = review_days(PlantedFeed(bank(), world, shift=longs_earn(world)), Publications(), days=DAYS)
    return [review for review in days if review.day in DAYS[:-1]]


def test_reviews_of_the_benchmark_given_a_planted_world_then_equal_those_of_the_use_case_day_by_day(tmp_path: Path) -> None:
    world = world_of_pairs(1)

    produced, reviews = through_the_record(world, tmp_path / "platform.sqlite"), of_the_benchmark(world)

    assert [(review.raised, review.ledger) for review in reviews] == produced[:-1]
    assert {group[1] for review in reviews for group in review.raised} == {"long"}
    assert reviews[0].raised == frozenset()
    assert all(review.ledger.accounts for review in reviews)
    assert any(review.ledger.open_bets for review in reviews)


def test_gates_given_a_world_that_earns_nothing_then_raise_no_bin() -> None:
    world = world_of_pairs(3, seed=1_000_001, skilled=False)

    year = run_year(bank(), world, shift=-world.utility, days=QUARTERLY)

    assert (year.ever.any(), year.opened, year.forced_opened) == (False, False, False)
    assert year.best_evidence > 0.0  # bets were laid
    assert year.truth.tolist() == pytest.approx([0.0] * len(year.truth), abs=1e-12)


def test_gates_given_a_world_with_skill_then_raise_bins_that_earn() -> None:
    year = run_year(bank(), world_of_pairs(4, seed=0, heterogeneity=1.8), days=QUARTERLY)

    assert year.opened
    assert year.last.any()
    assert (year.truth[year.last] > 0.0).all()


def test_skewed_given_worlds_settled_together_then_each_is_as_by_the_gate_alone() -> None:
    skew, seeds = Skew(each_day=5, correlation=1.0), [2_000_000, 2_000_001]
    gate, first = AccountGate(), planted_skewed.FIRST
    alone = []
    for seed in seeds:
        rng = np.random.default_rng((seed, skew.each_day, 1000))
        ledger, opened = gate.join(gate.start(day=first - 1), CELLS), False
        for day in range(first, first + 40):
            ledger = gate.fold(ledger, day=day, trades=draw_day(rng, skew, day=day), published=certain_edges())
            opened |= bool(gate.opened(ledger))
        alone.append((opened, max(of.log_evidence for of in progress(ledger).values())))

    together, evidence = worlds_settled(seeds, skew=skew, days=40)

    assert together.tolist() == [opened for opened, _ in alone]
    assert np.log(evidence.max(axis=1)) == pytest.approx([best for _, best in alone])


def hidden_losers(world: World, how: str) -> pd.DataFrame:
    """Return a world's trades, of which those that lost were ended by hand, or closed a month late."""
    frame = trade_frame(world)
    has_lost = realised(bank(), world.trades) < 0.0
    if how == "by hand":
        frame.loc[has_lost, "exit_reason"] = "force_exit"
    else:
        frame.loc[has_lost, "close_date"] += pd.Timedelta(days=30)
    return frame


@pytest.mark.parametrize("how", ["by hand", "late"])
def test_gates_given_losers_that_the_evidence_never_sees_then_stay_closed_where_they_would_have_opened(how: str) -> None:
    world = world_of_pairs(1, seed=1_000_001, skilled=False)
    rules = [replace(planted_settings(bank()), max_censored_share=share) for share in (1.0, 0.10)]

    feeds = [PlantedFeed(bank(), world, shift=-world.utility, frame=hidden_losers(world, how), settings=rule) for rule in rules]
    unguarded, guarded = ([*islice(review_days(feed, Publications(), days=HIDDEN_DAYS, closes_late=True), 70)] for feed in feeds)

    nodes = {(pair_name(0), side) for side in DIRECTIONS}
    assert any(nodes & review.permission.opened for review in unguarded), [
        max(of.log_evidence for of in progress(review.ledger).values()) for review in unguarded
    ][::10]
    assert any(review.raised for review in unguarded)
    assert {review.permission.closed for review in guarded} == {frozenset(nodes)}
    assert not any(review.raised for review in guarded)


@pytest.mark.slow
def test_study_nulls_given_worlds_that_earn_nothing_then_counts_none() -> None:
    study = study_nulls(bank(), worlds=2, zero_cost=True)

    assert (study.worlds, study.raised, study.opened, study.forced) == (2, 0, 0, 0)
    assert study.lower_bound > 0


@pytest.mark.slow
def test_skewed_given_a_few_worlds_then_every_kind_is_studied_and_the_worst_in_all_of_them() -> None:
    found = study_skewed(worlds=4)

    assert set(found) == {str(skew) for skew in SKEWS}
    assert sorted(study.worlds for study in found.values()) == [1] * (len(SKEWS) - 1) + [4]
    assert sum(study.opened for study in found.values()) == 0


@pytest.mark.slow
def test_skewed_given_40_worlds_of_the_hardest_kind_then_few_open() -> None:
    hardest = Skew(each_day=5, correlation=1.0)

    # At the nominal 4 %, more in 8 of 100 sets of seeds.
    assert open_ever(range(2_000_000, 2_000_040), skew=hardest).sum() <= 3


@pytest.mark.slow
def test_gates_given_one_world_relearned_on_other_schedules_then_see_the_same_evidence() -> None:
    world = world_of_pairs(2, seed=0, heterogeneity=1.8)

    weekly, monthly, quarterly = (run_year(bank(), world, days=days).best_evidence for days in (WEEKLY, MONTHLY, QUARTERLY))

    assert 0.6 < weekly / monthly < 1.6
    assert 0.6 < quarterly / monthly < 1.6


def test_cell_group_given_a_cell_then_is_the_group_of_its_pair_direction_and_bin() -> None:
    assert [cell_group(cell) for cell in (0, 9, 119)] == [
        ("P00/USDT:USDT", "long", "1.0-2.0"),
        ("P00/USDT:USDT", "short", "7.5-10.0"),
        ("P11/USDT:USDT", "short", "7.5-10.0"),
    ]
