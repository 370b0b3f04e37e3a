from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.feeders.splits import purged_folds

rows = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 80)), min_size=4, max_size=120)


@given(rows=rows, folds=st.integers(2, 6), embargo=st.integers(0, 60))
def test_no_training_label_overlaps_the_test_span_or_its_embargo(rows: list[tuple[int, int]], folds: int, embargo: int) -> None:
    known = np.array([at for at, _ in rows])
    ends = known + np.array([length for _, length in rows])

    for fold in purged_folds(known, ends, folds=folds, embargo=embargo):
        first, last = known[fold.test].min(), ends[fold.test].max()
        assert ((ends[fold.train] < first) | (known[fold.train] > last + embargo)).all()


@given(rows=rows, folds=st.integers(2, 6))
def test_every_row_is_tested_once(rows: list[tuple[int, int]], folds: int) -> None:
    known = np.array([at for at, _ in rows])
    ends = known + np.array([length for _, length in rows])

    tested = np.concatenate([fold.test for fold in purged_folds(known, ends, folds=folds, embargo=0)])

    assert sorted(tested) == list(range(len(rows)))


@given(rows=rows)
def test_test_spans_follow_each_other(rows: list[tuple[int, int]]) -> None:
    known = np.array([at for at, _ in rows])

    spans = [(known[fold.test].min(), known[fold.test].max()) for fold in purged_folds(known, known, folds=3, embargo=0)]

    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_purged_folds_given_a_label_that_ends_before_it_begins_then_refuses() -> None:
    with pytest.raises(ValueError, match="one label end for each row"):
        list(purged_folds(np.array([3, 4]), np.array([2, 5]), folds=2, embargo=0))
