"""Choose the half-life by which old trades lose weight: the one that best predicted each period from the periods before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.pooling.effects import pool, solve_effects
from bot3.learning.pooling.evidence import Evidence, quotient
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import PoolingModel, labels_of

HALF_LIVES_DAYS: tuple[float | None, ...] = (None, 365.0, 182.5)
"""Candidate half-lives in days; None is infinite. With the noise of trades, a shorter memory costs more than the drift it removes."""
WARM_UP_PERIODS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLife:
    """Chosen half-life: `days` (None: infinite), the weight of each period, and the mean score of each candidate in nats per period.

    There are no scores if there were too few periods for a choice.
    """

    days: float | None
    weights: NDArray[np.float64]
    scores: tuple[float, ...]


def period_weights(ages_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float64]:
    """Compute the weight, 0 to 1, of periods from their ages."""
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
    """Choose the half-life that predicted each period best from those before; without at least five periods it is the first candidate.

    A later candidate must lead by more than the standard error of its lead.

    Parameters
    ----------
    ages_days : array of shape (periods,)
        Age of each period, oldest first.
    prior, strength, deviation
        As for `fit_model`.
    candidates : sequence
        Half-lives in days, the default first; None is infinite.

    Raises
    ------
    LearningError
        If the number of ages differs from that of the periods, or the ages are not in order.
    """
    if len(ages_days) != evidence.n.shape[1] or bool((np.diff(ages_days) > 0.0).any()):
        raise LearningError("ages of periods are invalid: pass one for each period, oldest first")
    if len(ages_days) < WARM_UP_PERIODS + 2:  # a single score has no standard error
        return HalfLife(days=candidates[0], weights=period_weights(ages_days, candidates[0]), scores=())
    model = fit_model(evidence, prior=prior, strength=strength, deviation=deviation)
    held = _Components.of(evidence, model)
    scores = np.stack([_scores(held, model, ages_days, candidate) for candidate in candidates])
    chosen = candidates[leader(scores)]
    return HalfLife(days=chosen, weights=period_weights(ages_days, chosen), scores=tuple(scores.mean(axis=1).tolist()))


def leader(scores: NDArray[np.float64]) -> int:
    """Return the candidate (row) that leads: a later one must lead the leader before it by more than the standard error of its lead."""
    chosen = 0
    for k, own in enumerate(scores):
        lead = own - scores[chosen]
        if lead.mean() > lead.std(ddof=1) / np.sqrt(len(lead)):
            chosen = k
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Components:
    """Evidence in a model's basis: `totals` of shape (groups, periods, components), minus the centre. Cached for many evaluations."""

    n: NDArray[np.float64]
    totals: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, evidence: Evidence, model: PoolingModel) -> _Components:
        totals = evidence.totals.reshape(*evidence.n.shape, -1) @ model.basis.analysis.T
        centre = model.basis.analysis @ model.centre
        return cls(n=evidence.n, totals=totals - evidence.n[..., None] * centre, labels=labels_of(evidence))

    def values(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the same as `surfaces.group_values`: effective counts, and means of shape (components, groups)."""
        n = self.n @ weights
        return quotient(n**2, self.n @ weights**2), quotient(np.tensordot(weights, self.totals, axes=(0, 1)), n[:, None]).T


def _scores(held: _Components, model: PoolingModel, ages_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float64]:
    """Return the Gaussian log score of every period after the warm-up, predicted from the periods before it."""
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
