from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.pooling.empirical_bayes import Posterior, effective_n, own_weight, pooled, pooling_strength
from bot3.learning.replay.grids import GridSums
from bot3.market.instants import DAY_US


def sums_of(outcomes: np.ndarray) -> GridSums:
    def cell(value: float) -> np.ndarray:
        return np.array([[value]], dtype=np.float64)

    return GridSums(
        n=len(outcomes),
        total=cell(outcomes.sum()),
        squares=cell((outcomes**2).sum()),
        wins=cell((outcomes > 0).sum()),
        gross_profit=cell(0.0),
        gross_loss=cell(0.0),
        ambiguous=cell(0.0),
    )


@given(n_eff=st.floats(0.0, 1e6), k=st.floats(1e-6, 1e9) | st.just(math.inf))
def test_own_weight_lies_within_0_and_1(n_eff: float, k: float) -> None:
    assert 0.0 <= own_weight(n_eff, k) <= 1.0


@given(weight=st.floats(0.0, 1.0), mean=st.floats(-0.1, 0.1), above=st.floats(-0.1, 0.1), n_eff=st.floats(1.0, 1e4), k=st.floats(1.0, 1e4))
def test_pooled_mean_lies_between_own_and_parent(weight: float, mean: float, above: float, n_eff: float, k: float) -> None:
    posterior = pooled(weight=weight, mean=mean, variance=1e-4, n_eff=n_eff, parent=Posterior(mean=above, deviation=0.001), k=k)

    assert min(mean, above) - 1e-12 <= posterior.mean <= max(mean, above) + 1e-12
    assert posterior.lower <= posterior.mean <= posterior.upper


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 400))
def test_effective_n_lies_within_1_and_n(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)

    found = effective_n(rng.normal(size=n), rng.integers(0, 60, n) * DAY_US)

    assert 1.0 <= found <= n


def test_effective_n_given_trades_that_share_their_day_then_is_near_the_days() -> None:
    rng = np.random.default_rng(1)
    days = np.repeat(np.arange(200), 20)
    shared = rng.normal(size=200)[days] + 0.05 * rng.normal(size=4_000)

    assert 100.0 < effective_n(shared, days * DAY_US) < 400.0


def test_pooling_strength_given_siblings_that_differ_then_is_near_the_planted_ratio() -> None:
    rng = np.random.default_rng(2)
    groups = [(sums_of(rng.normal(rng.normal(0.0, 0.01), 0.1, 200)), 200.0, "*|*|*") for _ in range(200)]

    assert 60.0 < pooling_strength(groups) < 160.0  # 0.1 ** 2 / 0.01 ** 2 = 100


def test_pooling_strength_given_one_group_then_trusts_the_parent_alone() -> None:
    assert pooling_strength([(sums_of(np.array([0.1, -0.1])), 2.0, "*|*|*")]) == math.inf
