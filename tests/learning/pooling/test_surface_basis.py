"""The directions in which surfaces vary."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.surface_basis import COMPONENTS, fit_basis, smooth_basis

WEIGHTS = np.array([1.0, 0.5, 1.0])


def evidence_of(shape: tuple[int, int], *, seed: int = 1) -> Evidence:
    rng = np.random.default_rng(seed)
    n = np.array([[3.0, 0.0, 2.0], [1.0, 4.0, 2.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    group = np.arange(4)
    return Evidence(
        n=n, totals=rng.normal(0.0, 0.1, (4, 3, *shape)) * n[..., None, None], pair=group, direction=group % 2, leverage_bin=group
    )


def noise_of(evidence: Evidence, *, deviation: float) -> np.ndarray:
    """Return the covariance of a trade's noise along the smooth directions, period by period."""
    shape = evidence.totals.shape[2:]
    smooth = smooth_basis(shape)
    stops, targets = np.divmod(np.arange(len(smooth)), min(8, shape[1]))
    share = 1.0 / (1.0 + stops + targets) ** 3
    found = 20.0 * np.diag(deviation**2 * share / share.sum() * shape[0] * shape[1])
    freedom = 20.0
    for n, totals in zip(evidence.n, evidence.totals, strict=True):
        used = np.flatnonzero(n)
        if len(used):
            mean = np.einsum("p,pst->st", WEIGHTS, totals) / (WEIGHTS @ n)
            freedom += len(used) - 1
            for period in used:
                rest = smooth @ (totals[period] / n[period] - mean).ravel()
                found = found + n[period] * np.outer(rest, rest)
    covariance: np.ndarray = smooth.T @ (found / freedom) @ smooth
    return covariance


@pytest.mark.parametrize(("shape", "degrees"), [((7, 9), 4), ((2, 5), 3)])
def test_smooth_basis_is_orthonormal_and_holds_every_surface_of_its_degrees(shape: tuple[int, int], degrees: int) -> None:
    basis = smooth_basis(shape, degrees=degrees)

    stop, target = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    size = min(degrees, shape[0]) * min(degrees, shape[1])
    surface = (2.0 + 3.0 * stop * target**2 - target).ravel()
    assert basis.shape == (size, shape[0] * shape[1])
    np.testing.assert_allclose(basis @ basis.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(basis.T @ (basis @ surface), surface, atol=1e-9)


def test_smooth_basis_given_no_degrees_then_has_eight_of_each_side() -> None:
    assert smooth_basis((9, 10)).shape == (64, 90)


def test_fit_basis_given_few_cells_then_its_components_are_the_whole_noise() -> None:
    evidence = evidence_of((3, 2))

    basis = fit_basis(evidence, WEIGHTS, deviation=0.05)

    np.testing.assert_allclose(basis.components.T @ basis.components, noise_of(evidence, deviation=0.05), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(basis.analysis @ basis.components.T, np.eye(6), atol=1e-9)


def test_fit_basis_given_many_cells_then_keeps_the_twelve_largest_directions() -> None:
    evidence = evidence_of((5, 4))

    basis = fit_basis(evidence, WEIGHTS, deviation=0.05)

    values, vectors = np.linalg.eigh(noise_of(evidence, deviation=0.05))
    largest = (vectors[:, -12:] * values[-12:]) @ vectors[:, -12:].T
    assert basis.components.shape == (COMPONENTS, 20)
    assert (np.diff((basis.components**2).sum(axis=1)) < 0.0).all()
    np.testing.assert_allclose(basis.components.T @ basis.components, largest, rtol=1e-9, atol=1e-13)
