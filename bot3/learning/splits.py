"""Folds in time whose training labels never touch the test span: purged by label end, with an embargo after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Rows to train on and rows to test on."""

    train: Indices
    test: Indices


def purged_folds(known: Indices, ends: Indices, *, folds: int, embargo: int) -> Iterator[Fold]:
    """Yield folds that test on one span of time each, together on every row.

    Parameters
    ----------
    known, ends : int64 arrays of shape (n,)
        When a row's features are known and when its label is (`ends` >= `known`), in any one unit of time; rows in any order.
    folds : int
        How many spans, at least 2, of about equally many rows; rows of one instant stay together.
    embargo : int
        Time after the last test label's end in which no training row may begin: what happens then still echoes in its features.

    Raises
    ------
    ValueError
        If a label ends before it is known, or fewer than two spans are asked for.

    Notes
    -----
    Lopez de Prado, Advances in Financial Machine Learning, chapter 7, by label times rather than by numbers of rows.
    """
    if folds < 2 or len(known) != len(ends) or bool((ends < known).any()):
        raise ValueError("folds need at least 2 spans, and labels that end after they are known")
    if not len(known):
        return
    bounds = np.sort(known)[np.linspace(0, len(known), folds + 1)[:-1].astype(np.int64)]
    span = np.searchsorted(bounds, known, side="right") - 1
    for number in range(folds):
        test = np.flatnonzero(span == number)
        if not len(test):
            continue
        first, last = known[test].min(), ends[test].max()
        yield Fold(train=np.flatnonzero((ends < first) | (known > last + embargo)), test=test)
