from __future__ import annotations

import math

import numpy as np
import pytest
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


def days_of(*days: int) -> np.ndarray:
    return np.array(days, dtype=np.int64) * DAY_US + 5


def plain_effective_n(outcomes: np.ndarray, days: np.ndarray, horizon: int) -> float:
    """Return the effective n from the covariance of every two trades, with Bartlett's weights."""
    centred, n = outcomes - outcomes.mean(), len(outcomes)
    weights = np.maximum(1.0 - np.abs(days[:, None] - days[None]) / (horizon + 1.0), 0.0)
    long_run = float(centred @ weights @ centred)
    return float(np.clip(outcomes.var(ddof=1) * n * n / long_run, 1.0, n))


@settings(max_examples=60)
@given(
    outcomes=st.lists(st.integers(-9, 9), min_size=8, max_size=30).filter(lambda rows: len(set(rows)) > 2),
    horizon=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_effective_n_given_any_trades_of_eight_days_then_is_that_of_all_pairs_of_trades(
    outcomes: list[int], horizon: int, seed: int
) -> None:
    rest = np.random.default_rng(seed).integers(0, 20, len(outcomes) - 8)
    days = np.concatenate([np.arange(8) * 3, rest])

    found = effective_n(np.array(outcomes, dtype=np.float64), 7 * DAY_US + days * DAY_US, horizon_days=horizon)

    assert found == pytest.approx(plain_effective_n(np.array(outcomes, dtype=np.float64), days, horizon), rel=1e-6)


def test_effective_n_given_a_lag_of_a_day_then_counts_half_of_its_covariance() -> None:
    outcomes = np.repeat([1.0, -1.0], 4)

    # Variance 8 / 7; products of a day and the next: 6 of +1 and 1 of -1, at weight 1/2 and counted twice.
    assert effective_n(outcomes, days_of(*range(8))) == pytest.approx(8.0 / 7.0 * 64.0 / (8.0 + 5.0))


@pytest.mark.parametrize(
    ("outcomes", "days", "expected"),
    [
        ([], (), 0.0),
        ([0.5], (3,), 1.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], (0, 1, 2, 3, 4, 5, 6, 6), 7.0),  # seven days
        ([0.5] * 9, (0, 1, 2, 3, 4, 5, 6, 7, 7), 8.0),  # all equal
        ([1.0, -1.0] * 8, tuple(k // 2 for k in range(16)), 16.0),  # every day's sum is 0
    ],
)
def test_effective_n_given_what_shows_no_clustering_then_is_the_days_or_all(
    outcomes: list[float], days: tuple[int, ...], expected: float
) -> None:
    assert effective_n(np.array(outcomes), days_of(*days)) == expected


def plain_strength(groups: list[tuple[np.ndarray, float, str]]) -> float:
    used = [(own, n_eff, parent) for own, n_eff, parent in groups if len(own) >= 2 and n_eff > 0.0]
    within = sum(((own - own.mean()) ** 2).sum() for own, _, _ in used) / sum(len(own) - 1 for own, _, _ in used)
    excess = scale = 0.0
    for parent in {name for _, _, name in used}:
        own = [(values.mean(), n_eff) for values, n_eff, name in used if name == parent]
        total = sum(n for _, n in own)
        centre = sum(mean * n for mean, n in own) / total
        excess += sum(n * (mean - centre) ** 2 for mean, n in own) - (len(own) - 1) * within
        scale += total - sum(n * n for _, n in own) / total
    return float(within * scale / excess)


def test_pooling_strength_given_two_parents_then_is_the_moments_of_their_children() -> None:
    groups = [
        (np.array([1.0, 2.0, 4.0]), 2.5, "a"),
        (np.array([9.0, 8.0]), 0.5, "a"),
        (np.array([-6.0, -5.0, -9.0, -7.0]), 3.0, "b"),
        (np.array([3.0, 3.5]), 2.0, "b"),
        (np.array([40.0, 41.0]), 2.0, "c"),  # an only child
        (np.array([99.0]), 1.0, "a"),  # no scatter
        (np.array([70.0, 60.0]), 0.0, "a"),  # no weight
    ]

    found = pooling_strength([(sums_of(own), n_eff, parent) for own, n_eff, parent in groups])

    assert found == pytest.approx(plain_strength(groups))


@pytest.mark.parametrize(
    ("rows", "is_known"),
    [
        ([([1.0, 2.0], "a"), ([5.0, 6.0], "a")], False),
        ([([1.0, 2.0], "a"), ([5.0, 6.0], "a"), ([9.0, 8.0], "a")], True),
        ([([1.0, 2.0], "a"), ([5.0, 6.0], "b"), ([9.0, 8.0], "c")], False),  # no siblings
        ([([1.0, 9.0], "a"), ([2.0, 8.0], "a"), ([3.0, 7.0], "a")], False),  # no difference
    ],
)
def test_pooling_strength_given_three_siblings_that_differ_then_is_finite(rows: list[tuple[list[float], str]], is_known: bool) -> None:
    found = pooling_strength([(sums_of(np.array(own)), 2.0, parent) for own, parent in rows])

    assert math.isfinite(found) is is_known


def test_own_weight_given_30_observations_against_10_then_is_three_quarters() -> None:
    assert [own_weight(30.0, 10.0), own_weight(30.0, math.inf), own_weight(0.0, 10.0)] == [0.75, 0.0, 0.0]


def test_pooled_given_a_weight_of_a_quarter_then_combines_means_and_variances() -> None:
    parent = Posterior(mean=0.01, deviation=0.002)

    found = pooled(weight=0.25, mean=0.02, variance=1e-4, n_eff=10.0, parent=parent, k=50.0)

    assert found.mean == pytest.approx(0.0125)
    assert found.deviation**2 == pytest.approx(0.0625 * 1e-4 / 10.0 + 0.5625 * (1e-4 / 50.0 + 4e-6))
    assert pooled(weight=0.0, mean=0.0, variance=1e-4, n_eff=0.0, parent=parent, k=math.inf) == parent
    # Fewer than one effective observation still count.
    assert pooled(weight=1.0, mean=0.0, variance=1e-4, n_eff=0.5, parent=parent, k=1.0).deviation == pytest.approx(math.sqrt(2e-4))


def test_posterior_given_a_deviation_then_has_a_90_percent_interval_and_a_probability() -> None:
    found = Posterior(mean=0.01, deviation=0.01)

    assert (found.lower, found.upper) == (pytest.approx(-0.0064485, rel=1e-5), pytest.approx(0.0264485, rel=1e-5))
    assert found.confidence == pytest.approx(0.8413447)
    assert [Posterior(mean=mean, deviation=0.0).confidence for mean in (-0.01, 0.0, 0.01)] == [0.0, 0.0, 1.0]


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
