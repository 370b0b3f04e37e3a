"""Split rows into folds by time: each fold is tested by what was known before it, with an embargo between."""

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


def forward_folds(known: Indices, ends: Indices, *, folds: int, embargo: int) -> Iterator[Fold]:
    """Yield folds with one test span of time each and all rows known before it; the first span is tested by none.

    Parameters
    ----------
    known, ends : int64 arrays of shape (n,)
        Times at which a row's features and its label are known (`ends` >= `known`), in the same unit of time; rows in any order.
    folds : int
        Number of spans, at least 2, with about the same number of rows each; rows of one instant stay together.
    embargo : int
        Least time between the last label's end of a training row and the first test row: features of a test row may overlap a label.

    Raises
    ------
    ValueError
        If lengths differ, a label ends before its features are known, or fewer than two spans are requested.

    Notes
    -----
    Rows after the test span are not used, though they could be purged as well: a model that knows how the market went on from there is
    tested more kindly than it will be when it trades.
    """
    if folds < 2 or len(known) != len(ends) or bool((ends < known).any()):
        raise ValueError("folds need at least 2 spans, and one label end for each row, not before its features are known")
    if not len(known):
        return
    bounds = np.sort(known)[np.linspace(0, len(known), folds + 1)[:-1].astype(np.int64)]
    span = np.searchsorted(bounds, known, side="right") - 1
    for number in range(1, folds):
        test = np.flatnonzero(span == number)
        if len(test):
            yield Fold(train=np.flatnonzero(ends + embargo < known[test].min()), test=test)
