"""Basis of the surfaces of expectancy over stops and targets: smooth directions with uncorrelated noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.pooling.evidence import Evidence, group_means, quotient

DEGREES = 8
"""Number of polynomials along each side of the grid: surfaces are smooth in the logarithms of stop and target."""
COMPONENTS = 12
"""Number of directions, those with the largest variance of outcomes. More did not change the regret, fewer were slightly worse
(`benchmarks/planted.py`)."""
PRIOR_FREEDOM = 20.0
"""Degrees of freedom (periods of groups) with which the assumed noise is weighted against the observed scatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Directions in which surfaces vary, both arrays of shape (components, cells).

    `analysis` projects a surface to coefficients, in which the noise of one trade has variance 1; `components` reconstructs the surface.
    """

    components: NDArray[np.float64]
    analysis: NDArray[np.float64]


def smooth_basis(shape: tuple[int, int], *, degrees: int = DEGREES) -> NDArray[np.float64]:
    """Compute orthonormal products of polynomials in the indices of stop and target, of shape (degrees ** 2, cells)."""
    sides = []
    for length in shape:
        powers = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, length), min(degrees, length) - 1)
        sides.append(np.linalg.qr(powers)[0].T)
    products: NDArray[np.float64] = np.einsum("as,bt->abst", *sides).reshape(-1, shape[0] * shape[1])
    return products


def fit_basis(evidence: Evidence, weights: NDArray[np.float64], *, deviation: float) -> Basis:
    """Estimate the principal directions of the noise from the scatter of periods around their group's mean.

    Parameters
    ----------
    deviation : float
        Standard deviation of a trade's net move assumed before any trade.
    """
    _, means = group_means(evidence, weights)
    smooth = smooth_basis(evidence.totals.shape[2:])
    flat = evidence.totals.reshape(*evidence.n.shape, -1) @ smooth.T
    used = evidence.n > 0.0
    rest = np.where(used[..., None], quotient(flat, evidence.n[..., None]) - (means @ smooth.T)[:, None], 0.0)
    scatter = np.einsum("gp,gpa,gpb->ab", evidence.n, rest, rest, optimize=True)
    freedom = float(np.maximum(used.sum(axis=1) - 1, 0).sum())
    assumed = deviation**2 * _assumed_chance(evidence.totals.shape[2:])
    values, vectors = np.linalg.eigh((scatter + PRIOR_FREEDOM * np.diag(assumed)) / (freedom + PRIOR_FREEDOM))
    root = np.sqrt(values)[::-1][:COMPONENTS, None]
    directions = vectors.T[::-1][:COMPONENTS] @ smooth
    return Basis(components=directions * root, analysis=directions / root)


def _assumed_chance(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the assumed variance along each smooth direction if a setting has variance 1; smoother directions have more."""
    stop, target = np.meshgrid(*(np.arange(min(DEGREES, length)) for length in shape), indexing="ij")
    share = (1.0 + stop + target).ravel() ** -3.0
    variance: NDArray[np.float64] = share / share.sum() * shape[0] * shape[1]
    return variance
