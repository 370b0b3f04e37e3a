"""How fast old trades lose their say: the half-life that best foretold each period from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.effects import pool
from bot3.learning.evidence import Evidence
from bot3.learning.surface_model import fit_model
from bot3.learning.surfaces import PoolingModel, group_values, labels_of, refreshed

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
    basis_model = fit_model(evidence, prior=prior, strength=strength, deviation=deviation)
    scores = np.stack([_scores(evidence, basis_model, ages_days, candidate) for candidate in candidates])
    chosen = 0
    for k in range(1, len(candidates)):
        lead = scores[k] - scores[chosen]
        if len(lead) > 1 and lead.mean() > lead.std(ddof=1) / np.sqrt(len(lead)):
            chosen = k
    means = tuple(float(row.mean()) if len(row) else 0.0 for row in scores)
    return HalfLife(days=candidates[chosen], weights=period_weights(ages_days, candidates[chosen]), scores=means)


def _scores(evidence: Evidence, model: PoolingModel, ages_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float64]:
    """Return the Gaussian log score of every period after the warm-up, told from the periods before it."""
    periods = range(WARM_UP_PERIODS, evidence.n.shape[1])
    return np.array([_score(evidence, model, period_weights(ages_days, half_life_days), period) for period in periods])


def _score(evidence: Evidence, model: PoolingModel, weights: NDArray[np.float64], period: int) -> float:
    past, now = weights.copy(), np.zeros(len(weights))
    past[period:] = 0.0
    now[period] = 1.0
    n_past, values = group_values(evidence, model, past)
    labels, effects = labels_of(evidence), refreshed(evidence, model, weights=past).effects
    told = pool(values, n_past, labels=labels, design=model.design, variances=model.variances, effects=effects)
    n_now, came = group_values(evidence, model, now)
    seen = n_now > 0.0
    variance = told.variance[:, seen] + 1.0 / n_now[seen]
    scores = (came[:, seen] - told.mean[:, seen]) ** 2 / variance + np.log(variance)
    return float(-0.5 * scores.sum())
