"""Additive empirical Bayes: what a group's own data, its pair, its direction and its leverage bin each say, weighed by their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

SWEEPS = 15
"""Updates of the variances; the last ones change a posterior mean by far less than its deviation."""
DOUBT = 4.0
"""Effects without any size that the data are joined by: a handful of trades must not prove large differences."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Which effects there are.

    Parameters
    ----------
    level : array of shape (effects,)
        Place of each effect's level: effects of one level have one variance.
    label : array of shape (effects,)
        Label of each effect within its level.
    is_error : array of shape (levels,)
        Levels that are an error the groups share (a market they all lived through), no truth about them.
    """

    level: NDArray[np.int64]
    label: NDArray[np.int64]
    is_error: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.level) != len(self.label) or int(self.level.max()) >= len(self.is_error):
            raise LearningError("a design needs level and label of each effect, and one mark for each level")

    def columns(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1 where a group has an effect, else 0, of shape (groups, effects), given the groups' labels of shape (levels, groups).

        A label that no effect has, such as a pair seen first since the design was made, has no column.
        """
        has: NDArray[np.bool_] = np.equal(labels[self.level].T, self.label)
        return has.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variance of the effects of each level, shape (components, levels), and of a group's own effect, shape (components,)."""

    levels: NDArray[np.float64]
    own: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Posterior of the shared effects: mean (components, effects) and covariance (components, effects, effects)."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Posterior of groups, each of shape (components, groups): mean, variance, and the weight of the group's own data."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    own_weight: NDArray[np.float64]


def design_of(labels: NDArray[np.int64], *, errors: tuple[bool, ...]) -> Design:
    """Return the design of groups whose labels have the shape (levels, groups)."""
    found = [np.unique(row) for row in labels]
    level = np.repeat(np.arange(len(found)), [len(row) for row in found])
    return Design(level=level, label=np.concatenate(found), is_error=np.array(errors))


def pool(
    values: NDArray[np.float64],
    n_eff: NDArray[np.float64],
    *,
    labels: NDArray[np.int64],
    design: Design,
    variances: Variances,
    effects: Effects,
) -> Pooled:
    """Return the posterior of groups, each from its own data and what the effects it shares say: all groups, or only some.

    Parameters
    ----------
    values : array of shape (components, groups)
        Means of each group, less what is believed without data, in units in which one observation has variance 1; ignored where `n_eff`
        is 0.
    n_eff : array of shape (groups,)
        Effective observations, 0 for none.
    labels : int array of shape (levels, groups)
        Labels of each group.
    """
    columns = design.columns(labels)
    own_variance = variances.own[:, None] + _unseen(columns, design, variances)
    own = own_variance * n_eff / (1.0 + own_variance * n_eff)
    true_columns = columns * ~design.is_error[design.level]
    rest = np.where(n_eff > 0.0, values - effects.mean @ columns.T, 0.0)
    # An error that groups share is taken off their data, so its uncertainty comes in by the weight of the data.
    weights = true_columns[None] - own[:, :, None] * columns[None]
    variance = own_variance * (1.0 - own) + ((weights @ effects.covariance) * weights).sum(axis=2)
    return Pooled(mean=effects.mean @ true_columns.T + own * rest, variance=variance, own_weight=own)


def _unseen(columns: NDArray[np.float64], design: Design, variances: Variances) -> NDArray[np.float64]:
    """Return the variance (components, groups) of the effects that a group must have but the design does not know."""
    known = columns @ np.eye(len(design.is_error))[design.level]
    unseen: NDArray[np.float64] = (variances.levels * ~design.is_error) @ (known == 0.0).T
    return unseen


def solve_effects(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], *, labels: NDArray[np.int64], design: Design, variances: Variances
) -> Effects:
    """Return the posterior of the shared effects from all groups, given the variances; parameters as for `pool`."""
    return _solve(values, n_eff, design.columns(labels), design, variances)


def fit_variances(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], *, labels: NDArray[np.int64], design: Design, fixed: NDArray[np.float64]
) -> Variances:
    """Learn the variances of all levels by maximising the evidence.

    Parameters
    ----------
    values, n_eff, labels
        As for `pool`.
    fixed : array of shape (components, levels)
        Variances that are known; NaN where one is to be learned.

    Notes
    -----
    MacKay's fixed point: the squares of the effects over the number of them that the data determine. Each is drawn by the weight of one
    effect to the mean of its component, for a level of two directions hardly knows its own variance.
    """
    columns = design.columns(labels)
    start = np.maximum(_excess(values, n_eff), _TINY) / 2.0
    variances = Variances(levels=np.where(np.isnan(fixed), start[:, None], fixed), own=start)
    for _ in range(SWEEPS):
        effects = _solve(values, n_eff, columns, design, variances)
        variances = _updated(values, n_eff, columns=columns, design=design, variances=variances, effects=effects, fixed=fixed)
    return variances


def _updated(
    values: NDArray[np.float64],
    n_eff: NDArray[np.float64],
    *,
    columns: NDArray[np.float64],
    design: Design,
    variances: Variances,
    effects: Effects,
    fixed: NDArray[np.float64],
) -> Variances:
    learned = np.isnan(fixed)
    members = np.eye(len(design.is_error))[design.level]
    prior = np.maximum(variances.levels[:, design.level], _TINY)
    squares = effects.mean**2 @ members
    determined = np.maximum(1.0 - np.einsum("rqq->rq", effects.covariance) / prior, 0.0) @ members
    own = variances.own[:, None] * n_eff / (1.0 + variances.own[:, None] * n_eff)
    rest = np.where(n_eff > 0.0, own * (values - effects.mean @ columns.T), 0.0)
    places = columns.nonzero()[1].reshape(len(columns), -1)  # a group has one effect of each level
    kept = effects.covariance[:, places[:, :, None], places[:, None, :]].sum(axis=(2, 3))
    own_determined = np.maximum(own * (1.0 - own * kept / np.maximum(variances.own[:, None], _TINY)), 0.0).sum(axis=1)
    own_squares = (rest**2).sum(axis=1)
    middle = ((squares * learned).sum(axis=1) + own_squares) / ((determined * learned).sum(axis=1) + own_determined + DOUBT)
    levels = np.where(learned, (squares + middle[:, None]) / (determined + 1.0), fixed)
    return Variances(levels=levels, own=(own_squares + middle) / (own_determined + 1.0))


def _solve(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], columns: NDArray[np.float64], design: Design, variances: Variances
) -> Effects:
    precision = n_eff / (1.0 + variances.own[:, None] * n_eff)
    root = np.sqrt(variances.levels[:, design.level])
    inner = (columns.T * precision[:, None, :]) @ columns
    # Scaled by the prior's root on both sides, a level without variance drops out instead of dividing by zero.
    scaled = np.eye(len(design.level)) + root[:, :, None] * inner * root[:, None, :]
    covariance = root[:, :, None] * np.linalg.inv(scaled) * root[:, None, :]
    data = np.where(n_eff > 0.0, values, 0.0) * precision
    mean = np.einsum("rqp,rp->rq", covariance, data @ columns)
    return Effects(mean=mean, covariance=covariance)


def _excess(values: NDArray[np.float64], n_eff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance between groups beyond chance, of each component (DerSimonian and Laird)."""
    total = n_eff.sum()
    centre = np.where(n_eff > 0.0, values, 0.0) @ n_eff / max(total, 1.0)
    squares = (np.where(n_eff > 0.0, values - centre[:, None], 0.0) ** 2) @ n_eff
    scale = total - (n_eff @ n_eff) / max(total, 1.0)
    excess: NDArray[np.float64] = (squares - ((n_eff > 0.0).sum() - 1)) / max(scale, 1.0)
    return excess
