"""How fast old trades lose their say: the half-life that best foretold each period from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.effects import pool, solve_effects
from bot3.learning.evidence import Evidence
from bot3.learning.surface_model import fit_model
from bot3.learning.surfaces import PoolingModel, labels_of

HALF_LIVES_DAYS: tuple[float | None, ...] = (None, 365.0, 182.5)
"""Candidates; None is a memory without end. At the noise of trades a shorter memory costs more than drift does."""
WARM_UP_PERIODS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLife:
    """A choice of memory: `days` (None: without end), the weight of each period, and the mean score of each candidate, nats a period."""

    days: float | None
    weights: NDArray[np.float64]
    scores: tuple[float, ...]


def period_weights(ages_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float64]:
    """Return the weight, 0 to 1, of periods by their age."""
    return np.ones(len(ages_days)) if half_life_days is None else np.exp2(-ages_days / half_life_days)


def choose_half_life(
    evidence: Evidence,
    *,
    ages_days: NDArray[np.float64],
    prior: NDArray[np.float64],
    strength: float,
    deviation: float,
    candidates: Sequence[float | None] = HALF_LIVES_DAYS,
) -> HalfLife:
    """Choose by prequential score; a shorter memory must win by more than the standard error of its lead.

    Parameters
    ----------
    ages_days : array of shape (periods,)
        Age of each period, oldest first.
    prior, strength, deviation
        As for `fit_model`.
    candidates : sequence
        Half-lives in days, the one to keep in doubt first.

    Raises
    ------
    LearningError
        If ages are not in order.
    """
    if len(ages_days) != evidence.n.shape[1] or bool((np.diff(ages_days) > 0.0).any()):
        raise LearningError("periods need one age each, oldest first")
    if len(ages_days) < WARM_UP_PERIODS + 2:  # one score has no error
        return HalfLife(days=candidates[0], weights=period_weights(ages_days, candidates[0]), scores=())
    model = fit_model(evidence, prior=prior, strength=strength, deviation=deviation)
    held = _Components.of(evidence, model)
    scores = np.stack([_scores(held, model, ages_days, candidate) for candidate in candidates])
    chosen = 0
    for k in range(1, len(candidates)):
        lead = scores[k] - scores[chosen]
        if lead.mean() > lead.std(ddof=1) / np.sqrt(len(lead)):
            chosen = k
    means = tuple(scores.mean(axis=1).tolist())
    return HalfLife(days=candidates[chosen], weights=period_weights(ages_days, candidates[chosen]), scores=means)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Components:
    """Evidence as a model sees it: `totals` of shape (groups, periods, components), away from the centre. Made once, asked many times."""

    n: NDArray[np.float64]
    totals: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, evidence: Evidence, model: PoolingModel) -> _Components:
        totals = evidence.totals.reshape(*evidence.n.shape, -1) @ model.basis.analysis.T
        centre = model.basis.analysis @ model.centre
        return cls(n=evidence.n, totals=totals - evidence.n[..., None] * centre, labels=labels_of(evidence))

    def values(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what `surfaces.group_values` does: effective counts, and means of shape (components, groups)."""
        n = self.n @ weights
        means = np.tensordot(weights, self.totals, axes=(0, 1)) / np.where(n > 0.0, n, 1.0)[:, None]
        return n**2 / np.maximum(self.n @ weights**2, 1e-300), means.T


def _scores(held: _Components, model: PoolingModel, ages_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float64]:
    """Return the Gaussian log score of every period after the warm-up, told from the periods before it."""
    weights = period_weights(ages_days, half_life_days)
    return np.array([_score(held, model, weights, period) for period in range(WARM_UP_PERIODS, len(weights))])


def _score(held: _Components, model: PoolingModel, weights: NDArray[np.float64], period: int) -> float:
    past, now = weights.copy(), np.zeros(len(weights))
    past[period:] = 0.0
    now[period] = 1.0
    n_past, values = held.values(past)
    effects = solve_effects(values, n_past, labels=held.labels, design=model.design, variances=model.variances)
    told = pool(values, n_past, labels=held.labels, design=model.design, variances=model.variances, effects=effects)
    n_now, came = held.values(now)
    seen = n_now > 0.0
    variance = told.variance[:, seen] + 1.0 / n_now[seen]
    scores = (came[:, seen] - told.mean[:, seen]) ** 2 / variance + np.log(variance)
    return float(-0.5 * scores.sum())
