"""Fit the pooling model (how far groups differ), which a full run fits and incremental runs reuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bot3.learning.pooling.effects import design_of, fit_variances, solve_effects
from bot3.learning.pooling.evidence import Evidence, group_means, quotient
from bot3.learning.pooling.surface_basis import Basis, fit_basis
from bot3.learning.pooling.surfaces import (
    HORIZON_LEVEL,
    LEVEL_IS_ERROR,
    PoolingModel,
    Score,
    by_mean,
    labels_of,
    posterior_surfaces,
    refreshed,
)

OPTIMISM_SPREAD = 1.0
"""Prior standard deviation of the optimism, in posterior deviations."""
MIN_JUDGING_PERIODS, MAX_JUDGING_PERIODS = 2, 8
"""Number of the newest periods that judge a choice: with fewer than the minimum no optimism is subtracted."""


def fit_model(
    evidence: Evidence,
    *,
    prior: NDArray[np.float64],
    strength: float,
    deviation: float,
    weights: NDArray[np.float64] | None = None,
    score: Score = by_mean,
) -> PoolingModel:
    """Fit basis, variances and centre from all groups.

    Parameters
    ----------
    prior : array of shape (stops, targets)
        Surface assumed without any trade.
    strength : float
        Number of trades at which the data of all groups have the same weight as the prior.
    deviation : float
        Standard deviation of a trade's net move assumed before any trade; the static volatility.
    weights : array of shape (periods,) or None
        Weight of each period; None for equal weights.
    score : callable
        By what the settings of each group are chosen, given their posterior means of shape (groups, stops, targets).
    """
    weights = np.ones(evidence.n.shape[1]) if weights is None else weights
    basis = fit_basis(evidence, weights, deviation=deviation)
    n_eff, means = group_means(evidence, weights)
    centre = _centre(n_eff, means, prior=prior.ravel(), strength=strength, basis=basis)
    values, labels = basis.analysis @ (means - centre).T, labels_of(evidence)
    design = design_of(labels, errors=LEVEL_IS_ERROR)
    fixed = np.full((len(values), len(LEVEL_IS_ERROR)), np.nan)
    fixed[:, 0] = 1.0 / strength
    fixed[:, -1] = _market_error(evidence, weights, basis)
    if len(np.unique(labels[HORIZON_LEVEL])) == 1:
        # One horizon cannot differ from others: its effect would be a second one of all groups.
        fixed[:, HORIZON_LEVEL] = 0.0
    variances = fit_variances(values, n_eff, labels=labels, design=design, fixed=fixed)
    effects = solve_effects(values, n_eff, labels=labels, design=design, variances=variances)
    model = PoolingModel(basis=basis, design=design, variances=variances, effects=effects, centre=centre, weights=weights, optimism=0.0)
    return replace(model, optimism=selection_optimism(evidence, model, score=score))


def selection_optimism(evidence: Evidence, model: PoolingModel, *, score: Score = by_mean) -> float:
    """Estimate the optimism: by how many deviations the posterior mean of the best setting exceeds its mean on trades of other periods.

    Each period judges the settings chosen from the periods before it, as in use. With a correct prior the posterior has no optimism; if
    effects are not normally distributed as pooling assumes, or periods differ by more than the trades' noise, the best of a thousand
    settings is overestimated. The estimate is shrunk towards 0 by its own error (from the scatter of the periods that judge) and is never
    negative: no setting is reported as better than its posterior.
    """
    periods = np.flatnonzero(model.weights)[1:][-MAX_JUDGING_PERIODS:]
    if len(periods) < MIN_JUDGING_PERIODS:
        return 0.0
    excess, scale = np.array([_judged(evidence, model, period, score=score) for period in periods.tolist()]).T
    if scale.sum() <= 0.0:
        return 0.0
    found = float(excess.sum() / scale.sum())
    error = float(np.sqrt(((excess - found * scale) ** 2).sum()) / scale.sum())
    return max(found, 0.0) * OPTIMISM_SPREAD**2 / (OPTIMISM_SPREAD**2 + error**2)


def _judged(evidence: Evidence, model: PoolingModel, period: int, *, score: Score) -> tuple[float, float]:
    """Return the excess of predicted over observed sums of a period times deviation, and the squared deviations times n.

    Both are summed over groups; the settings are chosen from the periods before.
    """
    past = model.weights * (np.arange(len(model.weights)) < period)
    surfaces = posterior_surfaces(evidence, refreshed(evidence, model, weights=past))
    rows, cells = np.arange(len(evidence.n)), surfaces.best(score)
    told = surfaces.mean[rows, cells[:, 0], cells[:, 1]]
    deviation = surfaces.posteriors(cells)[1]
    n, totals = evidence.n[:, period], evidence.totals[rows, period, cells[:, 0], cells[:, 1]]
    return float(deviation @ (n * told - totals)), float(deviation**2 @ n)


def _centre(
    n_eff: NDArray[np.float64], means: NDArray[np.float64], *, prior: NDArray[np.float64], strength: float, basis: Basis
) -> NDArray[np.float64]:
    """Return the prior inside the basis, plus the mean of all groups outside of it, where nothing is pooled."""
    total = n_eff.sum()
    away = (n_eff @ means - total * prior) / (total + strength)
    inside: NDArray[np.float64] = (away @ basis.analysis.T) @ basis.components
    centre: NDArray[np.float64] = prior + away - inside
    return centre


def _market_error(evidence: Evidence, weights: NDArray[np.float64], basis: Basis) -> NDArray[np.float64]:
    """Return the variance of the error shared by groups of a direction, by component: the scatter of periods beyond the groups' noise."""
    shares = evidence.n.sum(axis=0) * weights
    if not shares.any():
        return np.zeros(len(basis.analysis))
    _, means = group_means(evidence, weights)
    flat = evidence.totals.reshape(*evidence.n.shape, -1) @ basis.analysis.T
    away = flat - evidence.n[..., None] * (means @ basis.analysis.T)[:, None]
    squares, counts = np.zeros(flat.shape[2]), 0.0
    for side in np.unique(evidence.direction):
        rows = evidence.direction == side
        squares += (away[rows].sum(axis=0) ** 2).sum(axis=0)
        own = evidence.n[rows]
        squares -= (own * (1.0 - quotient(own, own.sum(axis=1, keepdims=True)))).sum()
        counts += float((evidence.n[rows].sum(axis=0) ** 2).sum())
    return np.maximum(squares / counts, 0.0) * float((shares**2).sum() / shares.sum() ** 2)
