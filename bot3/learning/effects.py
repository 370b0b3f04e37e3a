"""Additive empirical Bayes: what a group's own data, its pair, its direction and its leverage bin each say, weighed by their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

SWEEPS = 15
"""Updates of the variances; the last ones change a posterior mean by far less than its deviation."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Which effects the groups share.

    Parameters
    ----------
    columns : array of shape (groups, effects)
        1 where a group has an effect, else 0.
    level : array of shape (effects,)
        Place of each effect's level: effects of one level have one variance.
    is_error : array of shape (levels,)
        Levels that are an error the groups share (a market they all lived through), no truth about them.
    """

    columns: NDArray[np.float64]
    level: NDArray[np.int64]
    is_error: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.columns.shape[1] != len(self.level) or int(self.level.max()) >= len(self.is_error):
            raise LearningError("a design needs one level for each effect, and one mark for each level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variance of the effects of each level, shape (components, levels), and of a group's own effect, shape (components,)."""

    levels: NDArray[np.float64]
    own: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Posterior of every group, each of shape (components, groups): mean, variance, and the weight of the group's own data."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    own_weight: NDArray[np.float64]


def design_of(*labels: NDArray[np.int64], errors: tuple[bool, ...]) -> Design:
    """Return the design of some levels, each given as the label of every group (0 to its largest)."""
    columns = [np.eye(int(label.max()) + 1)[label] for label in labels]
    level = np.repeat(np.arange(len(labels)), [block.shape[1] for block in columns])
    return Design(columns=np.concatenate(columns, axis=1), level=level, is_error=np.array(errors))


def pool(values: NDArray[np.float64], n_eff: NDArray[np.float64], *, design: Design, variances: Variances) -> Pooled:
    """Return the posterior of every group, given the variances.

    Parameters
    ----------
    values : array of shape (components, groups)
        Means of each group, less what is believed without data, in units in which one observation has variance 1; ignored where `n_eff`
        is 0.
    n_eff : array of shape (groups,)
        Effective observations, 0 for none.
    """
    effects, spread, own = _solve(values, n_eff, design, variances)
    true_columns = design.columns * ~design.is_error[design.level]
    shared = effects @ true_columns.T
    rest = np.where(n_eff > 0.0, values - effects @ design.columns.T, 0.0)
    # An error that groups share is taken off their data, so its uncertainty comes in by the weight of the data.
    weights = true_columns[None] - own[:, :, None] * design.columns[None]
    variance = variances.own[:, None] * (1.0 - own) + ((weights @ spread) * weights).sum(axis=2)
    return Pooled(mean=shared + own * rest, variance=variance, own_weight=own)


def fit_variances(values: NDArray[np.float64], n_eff: NDArray[np.float64], *, design: Design, fixed: NDArray[np.float64]) -> Variances:
    """Learn the variances of all levels by maximising the evidence.

    Parameters
    ----------
    values, n_eff
        As for `pool`.
    fixed : array of shape (components, levels)
        Variances that are known; NaN where one is to be learned.

    Notes
    -----
    MacKay's fixed point: the squares of the effects over the number of them that the data determine. Each is drawn by the weight of one
    effect to the mean of its component, for a level of two directions hardly knows its own variance.
    """
    start = np.maximum(_excess(values, n_eff), _TINY) / 2.0
    variances = Variances(levels=np.where(np.isnan(fixed), start[:, None], fixed), own=start)
    for _ in range(SWEEPS):
        variances = _updated(values, n_eff, design, variances, fixed)
    return variances


def _updated(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], design: Design, variances: Variances, fixed: NDArray[np.float64]
) -> Variances:
    learned = np.isnan(fixed)
    effects, spread, own = _solve(values, n_eff, design, variances)
    members = np.eye(len(design.is_error))[design.level]
    prior = np.maximum(variances.levels[:, design.level], _TINY)
    squares = effects**2 @ members
    determined = np.maximum(1.0 - np.einsum("rqq->rq", spread) / prior, 0.0) @ members
    rest = np.where(n_eff > 0.0, own * (values - effects @ design.columns.T), 0.0)
    kept = ((design.columns @ spread) * design.columns).sum(axis=2)
    own_determined = np.maximum(own * (1.0 - own * kept / np.maximum(variances.own[:, None], _TINY)), 0.0).sum(axis=1)
    own_squares = (rest**2).sum(axis=1)
    middle = ((squares * learned).sum(axis=1) + own_squares) / np.maximum((determined * learned).sum(axis=1) + own_determined, 1.0)
    levels = np.where(learned, (squares + middle[:, None]) / (determined + 1.0), fixed)
    return Variances(levels=levels, own=(own_squares + middle) / (own_determined + 1.0))


def _solve(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], design: Design, variances: Variances
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return effects (components, effects), their covariance, and the weight of a group's own data (components, groups)."""
    precision = n_eff / (1.0 + variances.own[:, None] * n_eff)
    root = np.sqrt(variances.levels[:, design.level])
    inner = (design.columns.T * precision[:, None, :]) @ design.columns
    # Scaled by the prior's root on both sides, a level without variance drops out instead of dividing by zero.
    scaled = np.eye(len(design.level)) + root[:, :, None] * inner * root[:, None, :]
    spread = root[:, :, None] * np.linalg.inv(scaled) * root[:, None, :]
    data = np.where(n_eff > 0.0, values, 0.0) * precision
    effects = np.einsum("rqp,rp->rq", spread, data @ design.columns)
    return effects, spread, variances.own[:, None] * precision


def _excess(values: NDArray[np.float64], n_eff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance between groups beyond chance, of each component (DerSimonian and Laird)."""
    total = n_eff.sum()
    centre = np.where(n_eff > 0.0, values, 0.0) @ n_eff / max(total, 1.0)
    squares = (np.where(n_eff > 0.0, values - centre[:, None], 0.0) ** 2) @ n_eff
    scale = total - (n_eff @ n_eff) / max(total, 1.0)
    excess: NDArray[np.float64] = (squares - ((n_eff > 0.0).sum() - 1)) / max(scale, 1.0)
    return excess
