"""Split rows into folds by time, so that no training label overlaps the test span, with an embargo after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Indices of the training rows and of the test rows."""

    train: Indices
    test: Indices


def purged_folds(known: Indices, ends: Indices, *, folds: int, embargo: int) -> Iterator[Fold]:
    """Yield folds with one test span of time each; together they test every row.

    Parameters
    ----------
    known, ends : int64 arrays of shape (n,)
        Times at which a row's features and its label are known (`ends` >= `known`), in the same unit of time; rows in any order.
    folds : int
        Number of spans, at least 2, with about the same number of rows each; rows of one instant stay together.
    embargo : int
        Time after the last test label's end in which no training row may begin, because its features still depend on the test span.

    Raises
    ------
    ValueError
        If lengths differ, a label ends before its features are known, or fewer than two spans are requested.

    Notes
    -----
    Lopez de Prado, Advances in Financial Machine Learning, chapter 7, by label times instead of numbers of rows.
    """
    if folds < 2 or len(known) != len(ends) or bool((ends < known).any()):
        raise ValueError("folds need at least 2 spans, and one label end for each row, not before its features are known")
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
