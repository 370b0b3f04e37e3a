from __future__ import annotations

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.memory import HALF_LIVES_DAYS, choose_half_life, period_weights

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


def test_period_weights_given_a_half_life_then_halve_with_it() -> None:
    assert period_weights(np.array([365.0, 182.5, 0.0]), 182.5).tolist() == pytest.approx([0.25, 0.5, 1.0])


def test_half_life_given_ages_out_of_order_then_is_refused() -> None:
    with pytest.raises(LearningError):
        choose_half_life(evidence_of(drift=0.0, seed=2), ages_days=AGES[::-1], prior=PRIOR, strength=200.0, deviation=0.03)
