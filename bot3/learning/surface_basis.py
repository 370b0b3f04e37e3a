"""The directions in which the expectancy of stops and targets varies: smooth, and independent of each other by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.evidence import Evidence, group_means

DEGREES = 8
"""Polynomials along each side of the grid: surfaces are smooth in the logarithms of stop and target."""
COMPONENTS = 12
"""Directions kept: those in which outcomes vary most. More changed no regret, fewer were a little worse (`benchmarks/planted.py`)."""
PRIOR_FREEDOM = 20.0
"""Periods of a group whose scatter weighs as much as the chance that is assumed before any trade was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Directions in which surfaces vary: `components` of shape (components, cells) with noise of variance 1 a trade along `analysis`."""

    components: NDArray[np.float64]
    analysis: NDArray[np.float64]


def smooth_basis(shape: tuple[int, int], *, degrees: int = DEGREES) -> NDArray[np.float64]:
    """Return orthonormal products of polynomials in the indices of stop and target, of shape (degrees ** 2, cells)."""
    sides = []
    for length in shape:
        powers = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, length), min(degrees, length) - 1)
        sides.append(np.linalg.qr(powers)[0].T)
    products: NDArray[np.float64] = np.einsum("as,bt->abst", *sides).reshape(-1, shape[0] * shape[1])
    return products


def fit_basis(evidence: Evidence, weights: NDArray[np.float64], *, deviation: float) -> Basis:
    """Learn the principal directions of chance from the scatter of periods about their group.

    Parameters
    ----------
    deviation : float
        Standard deviation of a trade's net move that is assumed before any was seen.
    """
    _, means = group_means(evidence, weights)
    smooth = smooth_basis(evidence.totals.shape[2:])
    flat = evidence.totals.reshape(*evidence.n.shape, -1) @ smooth.T
    used = evidence.n > 0.0
    rest = np.where(used[..., None], flat / np.where(used, evidence.n, 1.0)[..., None] - (means @ smooth.T)[:, None], 0.0)
    scatter = np.einsum("gp,gpa,gpb->ab", evidence.n, rest, rest, optimize=True)
    freedom = float(np.maximum(used.sum(axis=1) - 1, 0).sum())
    assumed = deviation**2 * _assumed_chance(evidence.totals.shape[2:])
    values, vectors = np.linalg.eigh((scatter + PRIOR_FREEDOM * np.diag(assumed)) / (freedom + PRIOR_FREEDOM))
    root = np.sqrt(values)[::-1][:COMPONENTS, None]
    directions = vectors.T[::-1][:COMPONENTS] @ smooth
    return Basis(components=directions * root, analysis=directions / root)


def _assumed_chance(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the variance along each smooth direction where a setting has variance 1: the smoother, the more."""
    stop, target = np.meshgrid(*(np.arange(min(DEGREES, length)) for length in shape), indexing="ij")
    share = (1.0 + stop + target).ravel() ** -3.0
    variance: NDArray[np.float64] = share / share.sum() * shape[0] * shape[1]
    return variance
