"""Beliefs on a group of several cells."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.learning.pooling.beliefs import Belief
from bot3.learning.pooling.effects import Effects, Pooled, Variances, design_of
from bot3.learning.pooling.empirical_bayes import Posterior
from bot3.learning.pooling.surface_basis import Basis
from bot3.learning.pooling.surfaces import PoolingModel, Surfaces

COMPONENTS = np.array([[1.0, 0.5, 2.0, 0.0, 1.0, 3.0], [0.0, 2.0, 1.0, 1.0, 0.5, 4.0]])
MEANS = np.array([[[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]], [[0.02, 0.01, 0.00], [0.03, 0.09, 0.10]]])


def surfaces_of(*, optimism: float = 0.5) -> Surfaces:
    """Return two groups on a grid of 2 stops and 3 targets, with two components and a level of true effects and one of errors."""
    design = design_of(np.array([[0, 1], [0, 0]]), errors=(False, True))
    model = PoolingModel(
        basis=Basis(components=COMPONENTS, analysis=COMPONENTS),
        design=design,
        variances=Variances(levels=np.array([[0.3, 9.0], [0.1, 9.0]]), own=np.array([0.2, 0.4])),
        effects=Effects(mean=np.zeros((2, 3)), covariance=np.zeros((2, 3, 3))),
        centre=np.zeros(6),
        weights=np.ones(1),
        optimism=optimism,
    )
    pooled = Pooled(mean=np.zeros((2, 2)), variance=np.array([[0.04, 0.09], [0.01, 0.16]]), own_weight=np.array([[0.5, 0.2], [0.25, 0.6]]))
    return Surfaces(mean=MEANS, pooled=pooled, model=model)


def test_surface_given_weights_then_is_the_weighted_mean_of_the_cells() -> None:
    belief = Belief(surfaces=surfaces_of(), weights=np.array([0.25, 0.75]))

    assert belief.surface[1].tolist() == pytest.approx([0.0325, 0.08, 0.09])


def test_posterior_given_two_cells_then_adds_their_deviations_as_if_perfectly_correlated() -> None:
    belief = Belief(surfaces=surfaces_of(), weights=np.array([0.25, 0.75]))

    found = belief.posterior((0, 2))

    # Loads 2 and 1: variances 4 * 0.04 + 0.01 and 4 * 0.09 + 0.16.
    deviations = np.sqrt([0.17, 0.52])
    means = np.array([0.03, 0.00]) - 0.5 * deviations
    assert found.mean == pytest.approx(float(means @ [0.25, 0.75]))
    assert found.deviation == pytest.approx(float(deviations @ [0.25, 0.75]))


def test_own_share_given_one_cell_then_is_the_weight_of_its_data() -> None:
    belief = Belief(surfaces=surfaces_of(), weights=np.array([1.0]))

    # Loads 2 and 1 times the own variances 0.2 and 0.4.
    assert belief.own_share((0, 2)) == pytest.approx((0.8 * 0.5 + 0.4 * 0.25) / 1.2)


def test_own_share_given_several_cells_then_is_the_share_of_variance_that_the_data_removed() -> None:
    belief = Belief(surfaces=surfaces_of(), weights=np.array([0.25, 0.75]))

    # Squared loads of 1 and 0.25; variances before the data of 0.5 each (errors are no variance between groups).
    after = 0.25 * (0.04 + 0.25 * 0.01) + 0.75 * (0.09 + 0.25 * 0.16)
    assert belief.own_share((1, 1)) == pytest.approx(1.0 - after / 0.625)
    assert Belief(surfaces=surfaces_of(), weights=np.array([9.0, 9.0])).own_share((1, 1)) == 0.0


def test_surfaces_given_a_cell_then_have_the_same_posterior_alone_and_together() -> None:
    surfaces = surfaces_of()

    means, deviations = surfaces.posteriors(np.array([[0, 2], [1, 1]]))

    assert deviations.tolist() == pytest.approx([np.sqrt(0.17), np.sqrt(0.09 + 0.25 * 0.16)])
    assert means.tolist() == pytest.approx([0.03 - 0.5 * np.sqrt(0.17), 0.09 - 0.5 * np.sqrt(0.13)])
    assert surfaces.posterior(0, (0, 2)) == Posterior(mean=pytest.approx(means[0]), deviation=pytest.approx(deviations[0]))
    assert surfaces.posterior(1, (1, 1)) == Posterior(mean=pytest.approx(means[1]), deviation=pytest.approx(deviations[1]))


def test_best_given_surfaces_then_is_the_highest_cell_that_is_allowed() -> None:
    allowed = np.array([[[True, True, True], [False, False, False]], [[True, True, False], [True, False, False]]])

    assert surfaces_of().best().tolist() == [[1, 2], [1, 2]]
    assert surfaces_of().best(lambda mean: np.where(allowed, mean, -np.inf)).tolist() == [[0, 2], [1, 0]]
