"""Evaluate LightGBM regression models from their text, all trees of several models in one compiled call.

Only what a regression on numbers needs is read: no categories, no linear leaves, no zero as a missing value. A missing value (NaN) takes
the branch that the model states for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.errors import ModelError

_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_NAN = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Trees of one or more models; its prediction is the mean of the models' predictions.

    Parameters
    ----------
    nodes : int32 of shape (n, 4)
        Feature, left child, right child (a leaf if below 0: -1 - leaf), and whether a missing value goes left (1), right (0), or counts
        as the number 0 (2).
    splits, leaves : float64
        Largest value that goes left, by node; value of each leaf.
    roots : int32 of shape (trees, 2)
        First node and first leaf of each tree; a tree of one leaf has the node -1.
    """

    nodes: NDArray[np.int32]
    splits: NDArray[np.float64]
    leaves: NDArray[np.float64]
    roots: NDArray[np.int32]

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the prediction of each row of features, shape (n,)."""
        out = np.zeros(len(rows))
        _predict(np.ascontiguousarray(rows), (self.nodes, self.splits, self.leaves, self.roots), out)
        return out


def forest_of(texts: Sequence[str], *, features: int) -> Forest:
    """Parse the texts of models.

    Raises
    ------
    ModelError
        If a text is not a regression model of numbers with this number of features, or its trees are inconsistent.
    """
    parts = [_Parts(text, features=features, scale=1.0 / len(texts)) for text in texts]
    nodes, leaves, roots = 0, 0, []
    for part in parts:
        for node_count, leaf_count in part.sizes:
            roots.append((nodes if node_count else -1, leaves))
            nodes, leaves = nodes + node_count, leaves + leaf_count
    return Forest(
        nodes=np.array([row for part in parts for row in part.nodes], dtype=np.int32).reshape(-1, 4),
        splits=np.array([split for part in parts for split in part.splits]),
        leaves=np.array([leaf for part in parts for leaf in part.leaves]),
        roots=np.array(roots, dtype=np.int32).reshape(-1, 2),
    )


class _Parts:
    """Trees of one model's text."""

    def __init__(self, text: str, *, features: int, scale: float) -> None:
        self.nodes: list[tuple[int, int, int, int]] = []
        self.splits: list[float] = []
        self.leaves: list[float] = []
        self.sizes: list[tuple[int, int]] = []
        try:
            header, *trees = text.partition("end of trees")[0].split("\nTree=")
            fields = _fields(header)
            if not fields["objective"].startswith("regression") or int(fields["max_feature_idx"]) + 1 != features:
                raise ModelError(f"a booster predicts {fields['objective']} from {fields['max_feature_idx']} + 1 features, not {features}")
            for tree in trees:
                self._add(_fields(tree), features=features, scale=scale)
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"a booster cannot be read ({type(error).__name__}: {error})") from error

    def _add(self, fields: dict[str, str], *, features: int, scale: float) -> None:
        count = int(fields["num_leaves"])
        leaves = [float(value) * scale for value in fields["leaf_value"].split()]
        if len(leaves) != count or int(fields.get("num_cat", "0")) or int(fields.get("is_linear", "0")):
            raise ValueError("a tree has another number of leaves than it states, categories or linear leaves")
        if count > 1:
            names = ("split_feature", "left_child", "right_child", "decision_type")
            columns = [[int(value) for value in fields[name].split()] for name in names]
            rows = [(feature, left, right, _missing(kind)) for feature, left, right, kind in zip(*columns, strict=True)]
            splits = [float(value) for value in fields["threshold"].split()]
            if not len(rows) == len(splits) == count - 1 or any(
                not 0 <= feature < features or not _is_child(left, node, count) or not _is_child(right, node, count)
                for node, (feature, left, right, _) in enumerate(rows)
            ):
                raise ValueError("the nodes of a tree contradict each other")
            self.nodes += rows
            self.splits += splits
        self.leaves += leaves
        self.sizes.append((count - 1, count))


def _is_child(child: int, node: int, leaves: int) -> bool:
    """Return whether a node may have this child: a leaf, or a later node, so that no evaluation runs in a circle."""
    return -leaves <= child < 0 or node < child < leaves - 1


def _missing(kind: int) -> int:
    missing = (kind >> 2) & 3
    if kind & _CATEGORY or missing not in {_MISSING_NONE, _MISSING_NAN}:
        raise ValueError(f"decision type {kind} is not a split of numbers")
    return 2 if missing == _MISSING_NONE else int(bool(kind & _DEFAULT_LEFT))


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@numba.njit(cache=True)
def _predict(rows: NDArray[np.float32], trees: Any, out: NDArray[np.float64]) -> None:
    """Add up the leaves that each row reaches, and write the sums to `out`."""
    nodes, splits, leaves, roots = trees
    for row in range(len(rows)):
        total = 0.0
        for tree in range(len(roots)):
            first, leaf = roots[tree]
            node = 0 if first >= 0 else -1
            while node >= 0:
                feature, left, right, missing = nodes[first + node]
                value = float(rows[row, feature])
                if np.isnan(value) and missing < 2:
                    node = left if missing == 1 else right
                else:
                    node = left if (0.0 if np.isnan(value) else value) <= splits[first + node] else right
            total += leaves[leaf - 1 - node]
        out[row] = total
