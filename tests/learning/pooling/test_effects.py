from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.pooling.effects import Design, Pooled, Variances, design_of, fit_variances, pool, solve_effects

GROUPS = 60
LABELS = np.stack([np.arange(GROUPS) // 5, np.arange(GROUPS) % 5])
DESIGN = design_of(LABELS, errors=(False, False))


def pooled_of(
    values: np.ndarray, n_eff: np.ndarray, *, variances: Variances, labels: np.ndarray = LABELS, design: Design = DESIGN
) -> Pooled:
    effects = solve_effects(values, n_eff, labels=labels, design=design, variances=variances)
    return pool(values, n_eff, labels=labels, design=design, variances=variances, effects=effects)


def planted(*, shared: float, own: float, n: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.0, np.sqrt(shared), (200, 12))[:, LABELS[0]] + rng.normal(0.0, np.sqrt(own), (200, GROUPS))
    return truth, truth + rng.normal(0.0, np.sqrt(1.0 / n), truth.shape)


def test_fit_variances_given_effects_then_finds_the_planted_ones() -> None:
    _, seen = planted(shared=0.04, own=0.01, n=100.0, seed=1)

    found = fit_variances(seen, np.full(GROUPS, 100.0), labels=LABELS, design=DESIGN, fixed=np.full((200, 2), np.nan))

    assert found.levels[:, 0].mean() == pytest.approx(0.04, rel=0.2)
    assert found.own.mean() == pytest.approx(0.01, rel=0.3)


def test_fit_variances_given_no_difference_then_are_far_below_the_noise() -> None:
    _, seen = planted(shared=0.0, own=0.0, n=100.0, seed=2)

    found = fit_variances(seen, np.full(GROUPS, 100.0), labels=LABELS, design=DESIGN, fixed=np.full((200, 2), np.nan))

    assert found.own.mean() < 0.003
    assert found.levels.mean() < 0.003


def test_pool_given_the_true_variances_then_deviations_are_honest_and_errors_smaller_than_of_own_data() -> None:
    truth, seen = planted(shared=0.04, own=0.01, n=20.0, seed=3)
    variances = Variances(levels=np.tile([0.04, 0.0], (200, 1)), own=np.full(200, 0.01))

    pooled = pooled_of(seen, np.full(GROUPS, 20.0), variances=variances)

    z = (pooled.mean - truth) / np.sqrt(pooled.variance)
    assert z.std() == pytest.approx(1.0, abs=0.05)
    assert ((pooled.mean - truth) ** 2).mean() < 0.6 * ((seen - truth) ** 2).mean()


def test_pool_given_a_shared_error_then_keeps_it_out_of_the_mean_and_in_the_variance() -> None:
    rng = np.random.default_rng(4)
    labels = np.zeros((2, GROUPS), dtype=np.int64)
    design = design_of(labels, errors=(False, True))
    truth, error = rng.normal(0.0, 0.2, (4_000, 1)), rng.normal(0.0, 0.3, (4_000, 1))
    seen = truth + error + rng.normal(0.0, 0.1, (4_000, GROUPS))
    variances = Variances(levels=np.tile([0.04, 0.09], (4_000, 1)), own=np.full(4_000, 0.0))

    pooled = pooled_of(seen, np.full(GROUPS, 100.0), variances=variances, labels=labels, design=design)

    z = (pooled.mean - truth) / np.sqrt(pooled.variance)
    assert z[:, 0].std() == pytest.approx(1.0, abs=0.05)


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000), empty=st.integers(0, GROUPS - 1))
def test_pool_given_a_group_without_data_then_ignores_whatever_stands_there(seed: int, empty: int) -> None:
    _, seen = planted(shared=0.04, own=0.01, n=50.0, seed=seed)
    n_eff = np.full(GROUPS, 50.0)
    n_eff[empty] = 0.0
    variances = Variances(levels=np.full((200, 2), 0.02), own=np.full(200, 0.01))
    changed = seen.copy()
    changed[:, empty] += 1e6

    first, second = (pooled_of(values, n_eff, variances=variances) for values in (seen, changed))

    assert np.array_equal(first.mean, second.mean)
    assert (first.own_weight[:, empty] == 0.0).all()
    assert ((first.own_weight >= 0.0) & (first.own_weight <= 1.0)).all()
    assert (first.variance > 0.0).all()


def test_design_given_a_level_without_a_mark_then_is_refused() -> None:
    with pytest.raises(LearningError):
        Design(level=np.array([1]), label=np.array([0]), is_error=np.array([False]))


def test_pool_given_a_label_that_no_effect_has_then_is_less_certain_and_leans_on_own_data() -> None:
    _, seen = planted(shared=0.04, own=0.01, n=50.0, seed=5)
    variances = Variances(levels=np.tile([0.04, 0.0], (200, 1)), own=np.full(200, 0.01))
    effects = solve_effects(seen, np.full(GROUPS, 50.0), labels=LABELS, design=DESIGN, variances=variances)
    new = np.array([[99, 0], [0, 0]])  # one group under a label nobody has seen, one under a known label

    pooled = pool(seen[:, :2], np.full(2, 50.0), labels=new, design=DESIGN, variances=variances, effects=effects)

    assert (pooled.own_weight[:, 0] > pooled.own_weight[:, 1]).all()
    assert (pooled.variance[:, 0] > pooled.variance[:, 1]).all()
