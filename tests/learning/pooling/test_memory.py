from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.memory import HALF_LIVES_DAYS, choose_half_life, leader, period_weights
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import PoolingModel, group_values, posterior_surfaces, refreshed

GROUPS, PERIODS, SHAPE = 40, 18, (4, 4)
AGES = np.arange(PERIODS)[::-1] * 30.0
PRIOR = np.zeros(SHAPE)


def evidence_of(*, drift: float, seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    start = rng.normal(0.0, 0.003, (GROUPS, 1, *SHAPE))
    walk = np.cumsum(rng.normal(0.0, drift, (GROUPS, PERIODS, *SHAPE)), axis=1)
    n = np.full((GROUPS, PERIODS), 40.0)
    totals = (start + walk) * 40.0 + rng.normal(0.0, 0.02 * np.sqrt(40.0), (GROUPS, PERIODS, *SHAPE))
    group = np.arange(GROUPS)
    return Evidence(n=n, totals=totals, pair=group // 10, direction=group // 5 % 2, leverage_bin=group % 5)


def test_half_life_given_no_drift_then_memory_has_no_end() -> None:
    chosen = [
        choose_half_life(evidence_of(drift=0.0, seed=seed), ages_days=AGES, prior=PRIOR, strength=200.0, deviation=0.03).days
        for seed in range(8)
    ]

    assert chosen.count(None) >= 6


def test_half_life_given_strong_drift_then_memory_is_short() -> None:
    found = choose_half_life(evidence_of(drift=0.004, seed=1), ages_days=AGES, prior=PRIOR, strength=200.0, deviation=0.03)

    assert found.days == HALF_LIVES_DAYS[-1]
    assert found.scores[-1] > found.scores[0]
    assert found.weights[-1] == pytest.approx(1.0)
    assert found.weights[0] < 0.2


def score(evidence: Evidence, model: PoolingModel, weights: np.ndarray, period: int) -> float:
    """Return the log score of a period's groups, one by one, by what the periods before it predict."""
    past = np.where(np.arange(len(weights)) < period, weights, 0.0)
    now = np.where(np.arange(len(weights)) == period, 1.0, 0.0)
    pooled = posterior_surfaces(evidence, refreshed(evidence, model, weights=past)).pooled
    n, came = group_values(evidence, model, now)
    total = 0.0
    for group in np.flatnonzero(n):
        for component in range(len(came)):
            variance = pooled.variance[component, group] + 1.0 / n[group]
            total -= 0.5 * ((came[component, group] - pooled.mean[component, group]) ** 2 / variance + np.log(variance))
    return total


def test_half_life_given_candidates_then_their_scores_are_those_of_every_period_after_the_third() -> None:
    rng = np.random.default_rng(3)
    n = rng.integers(0, 4, (6, 6)).astype(np.float64)
    group = np.arange(6)
    totals = rng.normal(0.0, 0.02, (6, 6, 2, 2)) * n[..., None, None]
    evidence = Evidence(n=n, totals=totals, pair=group // 2, direction=group % 2, leverage_bin=group // 3)
    ages, prior = np.arange(6)[::-1] * 30.0, np.full((2, 2), 0.001)

    found = choose_half_life(evidence, ages_days=ages, prior=prior, strength=50.0, deviation=0.03, candidates=(None, 60.0))

    model = fit_model(evidence, prior=prior, strength=50.0, deviation=0.03)
    for half_life, own in zip((None, 60.0), found.scores, strict=True):
        weights = period_weights(ages, half_life)
        assert own == pytest.approx(np.mean([score(evidence, model, weights, period) for period in (3, 4, 5)]), rel=1e-9)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], 0),
        ([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], 1),  # leads by 2, error 0.58
        ([[0.0, 0.0, 0.0], [-2.0, 0.0, 4.0]], 0),  # leads by 0.67, error 1.76
        ([[0.0, 0.0, 0.0, 0.0], [-0.5, 0.5, 1.0, 0.0]], 0),  # leads by 0.25, error 0.32
        ([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [2.0, 1.0, 3.5]], 1),  # the third leads the second by 0.17, error 0.6
        ([[0.0, 0.0, 0.0], [-9.0, 0.0, 8.0], [1.0, 2.0, 3.0]], 2),
    ],
)
def test_leader_given_scores_then_a_later_one_leads_by_more_than_its_error(scores: list[list[float]], expected: int) -> None:
    assert leader(np.array(scores)) == expected


@pytest.mark.parametrize(("periods", "is_scored"), [(4, False), (5, True)])
def test_half_life_given_fewer_than_five_periods_then_is_the_first_candidate_without_a_score(periods: int, is_scored: bool) -> None:
    evidence = evidence_of(drift=0.0, seed=1)
    some = replace(evidence, n=evidence.n[:, :periods], totals=evidence.totals[:, :periods])

    found = choose_half_life(some, ages_days=AGES[-periods:], prior=PRIOR, strength=200.0, deviation=0.03, candidates=(60.0, 30.0))

    assert bool(found.scores) is is_scored
    assert is_scored or found.weights.tolist() == pytest.approx([2.0**-1.5, 0.5, 2.0**-0.5, 1.0])


@pytest.mark.parametrize("ages", [AGES[1:], np.append(AGES[:-1], 30.5)])
def test_half_life_given_other_ages_then_is_refused(ages: np.ndarray) -> None:
    with pytest.raises(LearningError, match="oldest first"):
        choose_half_life(evidence_of(drift=0.0, seed=2), ages_days=ages, prior=PRIOR, strength=200.0, deviation=0.03)


def test_half_life_given_two_periods_of_one_age_then_is_chosen() -> None:
    ages = np.append(AGES[:-1], AGES[-2])

    assert choose_half_life(evidence_of(drift=0.0, seed=2), ages_days=ages, prior=PRIOR, strength=200.0, deviation=0.03).scores


def test_period_weights_given_a_half_life_then_halve_with_it() -> None:
    assert period_weights(np.array([365.0, 182.5, 0.0]), 182.5).tolist() == pytest.approx([0.25, 0.5, 1.0])
    assert period_weights(np.array([365.0, 182.5, 0.0]), None).tolist() == [1.0, 1.0, 1.0]
    assert HALF_LIVES_DAYS == (None, 365.0, 182.5)


def test_half_life_given_ages_out_of_order_then_is_refused() -> None:
    with pytest.raises(LearningError):
        choose_half_life(evidence_of(drift=0.0, seed=2), ages_days=AGES[::-1], prior=PRIOR, strength=200.0, deviation=0.03)
