"""The directions in which the expectancy of stops and targets varies: smooth, and independent of each other by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.evidence import Evidence, group_means

DEGREES = 8
"""Polynomials along each side of the grid: surfaces are smooth in the logarithms of stop and target."""
COMPONENTS = 12
"""Directions kept: those in which outcomes vary most. More changed no regret, fewer were a little worse (`benchmarks/planted.py`)."""
_RIDGE = 1e-3


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


def fit_basis(evidence: Evidence, weights: NDArray[np.float64]) -> Basis:
    """Learn the principal directions of chance from the scatter of periods about their group."""
    _, means = group_means(evidence, weights)
    smooth = smooth_basis(evidence.totals.shape[2:])
    flat = evidence.totals.reshape(*evidence.n.shape, -1) @ smooth.T
    used = evidence.n > 0.0
    rest = np.where(used[..., None], flat / np.where(used, evidence.n, 1.0)[..., None] - (means @ smooth.T)[:, None], 0.0)
    scatter = np.einsum("gp,gpa,gpb->ab", evidence.n, rest, rest, optimize=True)
    freedom = float(np.maximum(used.sum(axis=1) - 1, 0).sum())
    if freedom < 1.0:
        raise LearningError("the scatter of outcomes needs a group with trades in two periods")
    covariance = scatter / freedom
    covariance += _RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    root = np.sqrt(values)[::-1][:COMPONENTS, None]
    directions = vectors.T[::-1][:COMPONENTS] @ smooth
    return Basis(components=directions * root, analysis=directions / root)
