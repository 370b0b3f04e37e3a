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


SMALL = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1]])
"""Labels of five groups: all, direction, pair, and the error that a direction's groups share."""
SMALL_DESIGN = design_of(SMALL, errors=(False, False, False, True))
SMALL_VARIANCES = Variances(levels=np.array([[0.5, 0.3, 0.2, 0.1], [0.05, 0.0, 0.4, 0.6]]), own=np.array([0.25, 0.7]))
COUNTS = np.array([4.0, 0.0, 9.0, 2.0, 1.0])
VALUES = np.array([[1.0, 50.0, -0.4, 0.7, 0.2], [0.3, -9.0, 0.8, -0.6, 1.1]])


def dense(component: int, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior of groups from the covariances of every two of them: means and variances."""
    levels, own = SMALL_VARIANCES.levels[component], SMALL_VARIANCES.own[component]
    every = np.concatenate([labels, SMALL], axis=1)
    same = (every[:, :, None] == every[:, None, :]).astype(float)
    m = labels.shape[1]
    is_same_group = np.eye(every.shape[1])
    for group in range(min(m, SMALL.shape[1])):
        is_same_group[group, m + group] = is_same_group[m + group, group] = float(labels is SMALL)
    true = np.einsum("l,lij->ij", levels[:3], same[:3]) + own * is_same_group
    seen = m + np.flatnonzero(COUNTS)
    noise = levels[3] * same[3] + np.diag(np.concatenate([np.zeros(m), 1.0 / np.maximum(COUNTS, 1.0)]))
    gain = true[:m][:, seen] @ np.linalg.inv((true + noise)[np.ix_(seen, seen)])
    return gain @ VALUES[component, COUNTS > 0.0], np.diag(true[:m, :m] - gain @ true[seen][:, :m])


def test_pool_given_groups_of_three_levels_and_a_shared_error_then_is_the_posterior_of_all_groups_at_once() -> None:
    pooled = pooled_of(VALUES, COUNTS, variances=SMALL_VARIANCES, labels=SMALL, design=SMALL_DESIGN)

    for component in (0, 1):
        mean, variance = dense(component, SMALL)
        np.testing.assert_allclose(pooled.mean[component], mean, rtol=1e-10)
        np.testing.assert_allclose(pooled.variance[component], variance, rtol=1e-10)
    own = SMALL_VARIANCES.own[:, None] * COUNTS
    np.testing.assert_allclose(pooled.own_weight, own / (1.0 + own))


def test_pool_given_a_new_pair_then_is_the_posterior_of_a_group_that_shares_the_rest() -> None:
    effects = solve_effects(VALUES, COUNTS, labels=SMALL, design=SMALL_DESIGN, variances=SMALL_VARIANCES)
    new = np.array([[0], [1], [99], [1]])

    pooled = pool(np.zeros((2, 1)), np.zeros(1), labels=new, design=SMALL_DESIGN, variances=SMALL_VARIANCES, effects=effects)

    for component in (0, 1):
        mean, variance = dense(component, new)
        np.testing.assert_allclose(pooled.mean[component], mean, rtol=1e-10)
        np.testing.assert_allclose(pooled.variance[component], variance, rtol=1e-10)


def test_solve_effects_given_one_effect_then_is_its_posterior_mean_and_variance() -> None:
    labels = np.zeros((1, 2), dtype=np.int64)
    variances = Variances(levels=np.array([[0.5]]), own=np.array([0.25]))

    found = solve_effects(
        np.array([[1.0, 3.0]]), np.array([4.0, 4.0]), labels=labels, design=design_of(labels, errors=(False,)), variances=variances
    )

    # A group's precision is 4 / (1 + 0.25 * 4) = 2, so the effect's is 1 / 0.5 + 2 + 2 = 6.
    assert found.covariance.ravel().tolist() == pytest.approx([1.0 / 6.0])
    assert found.mean.ravel().tolist() == pytest.approx([8.0 / 6.0])


def fitted(values: np.ndarray, n: np.ndarray, *, fixed: list[float]) -> tuple[list[float], float]:
    """Return the variances of one component, effect by effect and group by group."""
    groups, seen = range(len(n)), n > 0.0
    total, level = n.sum(), SMALL_DESIGN.level
    centre = (n * values)[seen].sum() / total
    excess = ((n * (values - centre) ** 2)[seen].sum() - (seen.sum() - 1)) / (total - (n**2).sum() / total)
    own = max(excess, 1e-12) / 2.0
    levels = [own if np.isnan(value) else value for value in fixed]
    x = np.array([[float(SMALL[level[q], g] == SMALL_DESIGN.label[q]) for q in range(len(level))] for g in groups])
    for _ in range(15):
        prior, own = np.maximum([levels[at] for at in level], 1e-200), max(own, 1e-200)
        weight = n / (1.0 + own * n)
        covariance = np.linalg.inv(np.diag(1.0 / prior) + x.T @ np.diag(weight) @ x)
        mean = covariance @ x.T @ (weight * np.where(seen, values, 0.0))
        squares = [sum(mean[q] ** 2 for q in range(len(level)) if level[q] == at) for at in range(4)]
        determined = [sum(max(1.0 - covariance[q, q] / prior[q], 0.0) for q in range(len(level)) if level[q] == at) for at in range(4)]
        share = own * n / (1.0 + own * n)
        own_squares = sum((share[g] * (values[g] - x[g] @ mean)) ** 2 for g in groups if seen[g])
        own_determined = sum(share[g] * (1.0 - share[g] * (x[g] @ covariance @ x[g]) / own) for g in groups)
        learned = [at for at in range(4) if np.isnan(fixed[at])]
        middle = (sum(squares[at] for at in learned) + own_squares) / (sum(determined[at] for at in learned) + own_determined + 4.0)
        levels = [(squares[at] + middle) / (determined[at] + 1.0) if at in learned else fixed[at] for at in range(4)]
        own = (own_squares + middle) / (own_determined + 1.0)
    return levels, own


@pytest.mark.parametrize("scale", [3.0, 0.1])
def test_fit_variances_given_groups_that_differ_or_not_then_is_the_iteration_group_by_group(scale: float) -> None:
    fixed = np.array([[0.02, np.nan, np.nan, 0.01], [0.3, np.nan, np.nan, 0.2]])

    found = fit_variances(scale * VALUES, COUNTS, labels=SMALL, design=SMALL_DESIGN, fixed=fixed)

    for component in (0, 1):
        levels, own = fitted(scale * VALUES[component], COUNTS, fixed=fixed[component].tolist())
        assert found.levels[component].tolist() == pytest.approx(levels, rel=1e-9, abs=1e-30)
        assert found.own[component] == pytest.approx(own, rel=1e-9, abs=1e-30)


def test_fit_variances_given_no_trade_then_nothing_differs() -> None:
    found = fit_variances(VALUES, np.zeros(5), labels=SMALL, design=SMALL_DESIGN, fixed=np.full((2, 4), np.nan))

    assert found.levels.max() == found.own.max() == 0.0


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


@pytest.mark.parametrize(("level", "label"), [([1], [0]), ([0], [0, 1])])
def test_design_given_a_level_without_a_mark_or_an_effect_without_a_level_then_is_refused(level: list[int], label: list[int]) -> None:
    with pytest.raises(LearningError):
        Design(level=np.array(level), label=np.array(label), is_error=np.array([False]))


def test_pool_given_a_label_that_no_effect_has_then_is_less_certain_and_leans_on_own_data() -> None:
    _, seen = planted(shared=0.04, own=0.01, n=50.0, seed=5)
    variances = Variances(levels=np.tile([0.04, 0.0], (200, 1)), own=np.full(200, 0.01))
    effects = solve_effects(seen, np.full(GROUPS, 50.0), labels=LABELS, design=DESIGN, variances=variances)
    new = np.array([[99, 0], [0, 0]])  # one group under a label nobody has seen, one under a known label

    pooled = pool(seen[:, :2], np.full(2, 50.0), labels=new, design=DESIGN, variances=variances, effects=effects)

    assert (pooled.own_weight[:, 0] > pooled.own_weight[:, 1]).all()
    assert (pooled.variance[:, 0] > pooled.variance[:, 1]).all()
