"""Additive empirical Bayes: combine the effects of a group, its pair, its direction and its leverage bin, weighted by their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.pooling.evidence import quotient

SWEEPS = 15
"""Number of updates of the variances; the last ones change a posterior mean by far less than its deviation."""
DOUBT = 4.0
"""Pseudo-count of effects of size 0 added to the data, so that a few trades cannot prove large differences."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Definition of the effects of a model.

    Parameters
    ----------
    level : array of shape (effects,)
        Index of each effect's level: all effects of a level have the same variance.
    label : array of shape (effects,)
        Label of each effect within its level.
    is_error : array of shape (levels,)
        Levels whose effects are errors shared by groups (the same market during their trades), not true differences.
    """

    level: NDArray[np.int64]
    label: NDArray[np.int64]
    is_error: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.level) != len(self.label) or int(self.level.max()) >= len(self.is_error):
            raise LearningError("a design is invalid: it needs level and label of each effect, and is_error for each level")

    def columns(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the design matrix of shape (groups, effects), 1 where a group has an effect, for labels of shape (levels, groups).

        A label without an effect, such as a pair first seen after the design was built, has no column.
        """
        has: NDArray[np.bool_] = np.equal(labels[self.level].T, self.label)
        return has.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variances of the effects: of each level, shape (components, levels), and of a group's own effect, shape (components,)."""

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
    """Build the design of groups from their labels of shape (levels, groups)."""
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
    """Compute the posterior of all groups or some, each from its own data and the posterior of its shared effects.

    Parameters
    ----------
    values : array of shape (components, groups)
        Means of each group minus the prior mean, in units in which one observation has variance 1; any finite number where `n_eff` is 0.
    n_eff : array of shape (groups,)
        Effective observations, 0 for none.
    labels : int array of shape (levels, groups)
        Labels of each group.
    """
    columns = design.columns(labels)
    own_variance = variances.own[:, None] + _unseen(columns, design, variances)
    own = own_variance * n_eff / (1.0 + own_variance * n_eff)
    true_columns = columns * ~design.is_error[design.level]
    rest = values - effects.mean @ columns.T
    # A shared error is subtracted from the groups' data, so its uncertainty is weighted by the weight of the data.
    weights = true_columns[None] - own[:, :, None] * columns[None]
    variance = own_variance * (1.0 - own) + ((weights @ effects.covariance) * weights).sum(axis=2)
    return Pooled(mean=effects.mean @ true_columns.T + own * rest, variance=variance, own_weight=own)


def _unseen(columns: NDArray[np.float64], design: Design, variances: Variances) -> NDArray[np.float64]:
    """Return the variance (components, groups) of the effects that a group has but the design does not contain."""
    known = columns @ np.eye(len(design.is_error))[design.level]
    unseen: NDArray[np.float64] = (variances.levels * ~design.is_error) @ (known == 0.0).T
    return unseen


def solve_effects(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], *, labels: NDArray[np.int64], design: Design, variances: Variances
) -> Effects:
    """Compute the posterior of the shared effects from all groups, given the variances; parameters as for `pool`."""
    return _solve(values, n_eff, design.columns(labels), design, variances)


def fit_variances(
    values: NDArray[np.float64], n_eff: NDArray[np.float64], *, labels: NDArray[np.int64], design: Design, fixed: NDArray[np.float64]
) -> Variances:
    """Estimate the variances of all levels by maximising the marginal likelihood.

    Parameters
    ----------
    values, n_eff, labels
        As for `pool`.
    fixed : array of shape (components, levels)
        Known variances; NaN for those to be estimated.

    Notes
    -----
    MacKay's fixed-point iteration: the sum of the squared effects over the number of effects determined by the data. Each variance is
    shrunk to the mean of its component with the weight of one effect, because a level of two directions hardly determines its own variance.
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
    rest = own * (values - effects.mean @ columns.T)
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
    # Scaling by the prior's root on both sides removes a level without variance, instead of a division by zero.
    scaled = np.eye(len(design.level)) + root[:, :, None] * inner * root[:, None, :]
    covariance = root[:, :, None] * np.linalg.inv(scaled) * root[:, None, :]
    mean = np.einsum("rqp,rp->rq", covariance, (values * precision) @ columns)
    return Effects(mean=mean, covariance=covariance)


def _excess(values: NDArray[np.float64], n_eff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance between groups in excess of chance, for each component (DerSimonian and Laird)."""
    total = n_eff.sum()
    centre = quotient(values @ n_eff, total)
    squares = (values - centre[:, None]) ** 2 @ n_eff
    scale = total - quotient(n_eff @ n_eff, total)
    return quotient(squares - ((n_eff > 0.0).sum() - 1), scale)
