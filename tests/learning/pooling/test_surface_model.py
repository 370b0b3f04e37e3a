"""The pooling model against plain sums, group by group and period by period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot3.learning.pooling.evidence import Evidence, group_means
from bot3.learning.pooling.surface_basis import fit_basis
from bot3.learning.pooling.surface_model import (
    _centre,
    _judged,
    _market_error,
    fit_model,
    selection_optimism,
)
from bot3.learning.pooling.surfaces import HORIZON_LEVEL, by_mean, group_values, posterior_surfaces, refreshed

SHAPE = (3, 2)
PRIOR = np.linspace(-0.002, 0.001, 6).reshape(SHAPE)
GROUP = np.arange(8)
WEIGHTS = np.array([0.4, 0.0, 0.6, 0.8, 1.0])


def evidence_of(*, seed: int = 1, groups: int = 8, periods: int = 5, spread: float = 0.02) -> Evidence:
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 6, (groups, periods)).astype(np.float64)
    means = rng.normal(0.0, spread, (groups, 1, *SHAPE)) + rng.normal(0.0, 0.02, (groups, periods, *SHAPE))
    group = np.arange(groups)
    return Evidence(n=n, totals=means * n[..., None, None], pair=group // 4, direction=group // 2 % 2, leverage_bin=group % 2)


def test_centre_given_a_strength_then_is_the_prior_inside_the_basis_and_the_mean_of_all_outside() -> None:
    evidence = evidence_of()
    basis = fit_basis(evidence, WEIGHTS, deviation=0.03)
    basis = replace(basis, components=basis.components[:2], analysis=basis.analysis[:2])
    n_eff, means = group_means(evidence, WEIGHTS)

    centre = _centre(n_eff, means, prior=PRIOR.ravel(), strength=50.0, basis=basis)

    away = sum(n * (mean - PRIOR.ravel()) for n, mean in zip(n_eff, means, strict=True)) / (n_eff.sum() + 50.0)
    np.testing.assert_allclose(basis.analysis @ (centre - PRIOR.ravel()), 0.0, atol=1e-12)
    outside = np.eye(6) - basis.components.T @ basis.analysis
    np.testing.assert_allclose(centre, PRIOR.ravel() + outside @ away, atol=1e-15)


def market_error(evidence: Evidence, weights: np.ndarray, analysis: np.ndarray) -> np.ndarray:
    """Return the error that the groups of a direction share, from each period's sum beyond the noise of its groups."""
    squares, counts = np.zeros(len(analysis)), 0.0
    for side in (0, 1):
        for period in range(evidence.n.shape[1]):
            moved = np.zeros(len(analysis))
            for group in np.flatnonzero(evidence.direction == side):
                n = evidence.n[group]
                mean = np.einsum("p,pst->st", weights, evidence.totals[group]) / (weights @ n)
                moved += analysis @ (evidence.totals[group, period] - n[period] * mean).ravel()
                squares = squares - n[period] * (1.0 - n[period] / n.sum())
            squares = squares + moved**2
            counts += evidence.n[evidence.direction == side, period].sum() ** 2
    shares = evidence.n.sum(axis=0) * weights
    error: np.ndarray = np.maximum(squares / counts, 0.0) * (shares**2).sum() / shares.sum() ** 2
    return error


def test_market_error_given_periods_then_is_their_scatter_beyond_the_noise_of_groups() -> None:
    evidence = evidence_of()
    basis = fit_basis(evidence, WEIGHTS, deviation=0.03)

    found = _market_error(evidence, WEIGHTS, basis)

    expected = market_error(evidence, WEIGHTS, basis.analysis)
    assert (expected > 0.0).any()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_market_error_given_no_trade_then_is_zero() -> None:
    evidence = evidence_of()
    none = replace(evidence, n=np.zeros_like(evidence.n), totals=np.zeros_like(evidence.totals))

    assert _market_error(none, WEIGHTS, fit_basis(none, WEIGHTS, deviation=0.03)).tolist() == [0.0] * 6


def test_fit_model_given_a_strength_then_fixes_the_variances_of_all_groups_and_of_the_market() -> None:
    evidence = evidence_of()

    model = fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03, weights=WEIGHTS)

    assert model.variances.levels[:, 0].tolist() == [0.02] * 6
    np.testing.assert_allclose(model.variances.levels[:, -1], market_error(evidence, WEIGHTS, model.basis.analysis), rtol=1e-9)
    assert model.weights is WEIGHTS
    assert model.design.is_error.tolist() == [False] * 6 + [True]
    assert model.optimism == selection_optimism(evidence, replace(model, optimism=0.0))


def test_fit_model_given_no_weights_then_all_periods_count_once() -> None:
    evidence = evidence_of()

    plain, weighted = (fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03, weights=weights) for weights in (None, np.ones(5)))

    assert plain.weights.tolist() == [1.0] * 5
    np.testing.assert_array_equal(plain.effects.mean, weighted.effects.mean)


def test_judged_given_a_period_then_sums_what_it_fell_short_of_the_choice_from_those_before() -> None:
    evidence = evidence_of()
    model = fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03, weights=WEIGHTS)

    excess, squares = _judged(evidence, model, 3, score=by_mean)

    surfaces = posterior_surfaces(evidence, refreshed(evidence, model, weights=WEIGHTS * np.array([1.0, 1.0, 1.0, 0.0, 0.0])))
    expected_excess, expected_squares = 0.0, 0.0
    for group, (stop, target) in enumerate(surfaces.best().tolist()):
        loads = model.basis.components[:, stop * 2 + target]
        deviation = np.sqrt(loads**2 @ surfaces.pooled.variance[:, group])
        n = evidence.n[group, 3]
        expected_excess += deviation * (n * surfaces.mean[group, stop, target] - evidence.totals[group, 3, stop, target])
        expected_squares += deviation**2 * n
    assert (excess, squares) == pytest.approx((expected_excess, expected_squares), rel=1e-9)


def test_judged_given_later_periods_then_does_not_depend_on_them() -> None:
    evidence = evidence_of()
    model = fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03, weights=WEIGHTS)
    totals = evidence.totals.copy()
    totals[:, 4] += 1.0

    assert _judged(replace(evidence, totals=totals), model, 3, score=by_mean) == _judged(evidence, model, 3, score=by_mean)


def optimism(evidence: Evidence, *, judging: list[int]) -> tuple[float, float, float]:
    """Return the optimism found, the expected one and the plain one."""
    model = replace(fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03), optimism=0.0)
    excess, scale = np.array([_judged(evidence, model, period, score=by_mean) for period in judging]).T
    plain = excess.sum() / scale.sum()
    error = np.sqrt(((excess - plain * scale) ** 2).sum()) / scale.sum()
    return selection_optimism(evidence, model), max(plain, 0.0) / (1.0 + error**2), plain


@pytest.mark.parametrize(("periods", "judging"), [(6, [1, 2, 3, 4, 5]), (12, [4, 5, 6, 7, 8, 9, 10, 11])])
def test_selection_optimism_given_periods_then_is_the_mean_excess_shrunk_by_its_error(periods: int, judging: list[int]) -> None:
    found = [optimism(evidence_of(seed=seed, periods=periods), judging=judging) for seed in range(8)]

    assert {plain > 0.0 for _, _, plain in found} == {True, False}
    for own, expected, plain in found:
        assert own == pytest.approx(expected, rel=1e-9)
        assert (own > 0.0) == (plain > 0.0)


def test_selection_optimism_given_two_periods_or_no_trade_then_is_zero() -> None:
    three = [optimism(evidence_of(seed=seed, periods=3), judging=[1, 2])[0] for seed in range(6)]
    two = [optimism(evidence_of(seed=seed, periods=2), judging=[1]) for seed in range(6)]
    none = replace(evidence_of(), n=np.zeros((8, 5)), totals=np.zeros((8, 5, *SHAPE)))

    assert any(own > 0.0 for own in three)
    assert any(plain > 0.0 for _, _, plain in two)
    assert {own for own, _, _ in two} == {0.0}
    assert fit_model(none, prior=PRIOR, strength=50.0, deviation=0.03).optimism == 0.0


def test_group_values_given_a_model_then_are_its_components_of_the_means_minus_the_centre() -> None:
    evidence = evidence_of()
    model = fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03, weights=WEIGHTS)

    n_eff, values = group_values(evidence, model, WEIGHTS)

    counts, means = group_means(evidence, WEIGHTS)
    np.testing.assert_array_equal(n_eff, counts)
    np.testing.assert_allclose(values[:, 3], model.basis.analysis @ (means[3] - model.centre), rtol=1e-12)


def test_model_given_one_horizon_then_equals_that_without_horizons() -> None:
    evidence = evidence_of()
    one = replace(evidence, horizon=np.full(8, 1))

    plain, same = (fit_model(each, prior=PRIOR, strength=50.0, deviation=0.03, weights=WEIGHTS) for each in (evidence, one))

    for each in (evidence, one):
        found = posterior_surfaces(each, plain if each is evidence else same)
        np.testing.assert_allclose(found.mean, posterior_surfaces(evidence, plain).mean, atol=1e-12)
    assert not same.variances.levels[:, HORIZON_LEVEL].any()


def test_model_given_horizons_that_differ_then_a_new_group_is_estimated_as_its_horizon() -> None:
    evidence = evidence_of(periods=5, spread=0.0)
    horizon = GROUP % 2
    better = 0.03 * horizon[:, None, None, None] * evidence.n[..., None, None]
    evidence = replace(
        evidence, n=evidence.n + 50.0, totals=evidence.totals + better * 51.0, leverage_bin=np.zeros_like(GROUP), horizon=horizon
    )
    model = fit_model(evidence, prior=PRIOR, strength=50.0, deviation=0.03)

    new = Evidence(
        n=np.zeros((2, 5)), totals=np.zeros((2, 5, *SHAPE)), pair=np.array([7, 7]), direction=np.array([0, 0]),
        leverage_bin=np.array([0, 0]), horizon=np.array([0, 1]),
    )  # fmt: skip
    low, high = posterior_surfaces(new, model).mean

    assert (high > low + 0.005).all()
