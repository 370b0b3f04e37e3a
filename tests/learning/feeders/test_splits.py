from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.feeders.splits import forward_folds

rows = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 80)), min_size=4, max_size=120)


@given(rows=rows, folds=st.integers(2, 6), embargo=st.integers(0, 60))
def test_every_training_label_ends_an_embargo_before_the_test_span(rows: list[tuple[int, int]], folds: int, embargo: int) -> None:
    known = np.array([at for at, _ in rows])
    ends = known + np.array([length for _, length in rows])

    for fold in forward_folds(known, ends, folds=folds, embargo=embargo):
        first = known[fold.test].min()
        assert set(fold.train) == set(np.flatnonzero(ends + embargo < first))


@given(rows=rows, folds=st.integers(2, 6))
def test_every_row_after_the_first_span_is_tested_once(rows: list[tuple[int, int]], folds: int) -> None:
    known = np.array([at for at, _ in rows])
    ends = known + np.array([length for _, length in rows])

    tested = [row for fold in forward_folds(known, ends, folds=folds, embargo=0) for row in fold.test]

    assert len(tested) == len(set(tested))
    assert {row for row in range(len(rows)) if row not in set(tested)} == {
        row for row in range(len(rows)) if not tested or known[row] < min(known[tested])
    }


@given(rows=rows)
def test_test_spans_follow_each_other(rows: list[tuple[int, int]]) -> None:
    known = np.array([at for at, _ in rows])

    spans = [(known[fold.test].min(), known[fold.test].max()) for fold in forward_folds(known, known, folds=3, embargo=0)]

    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_forward_folds_given_a_label_that_ends_before_it_begins_then_refuses() -> None:
    with pytest.raises(ValueError, match="one label end for each row"):
        list(forward_folds(np.array([3, 4]), np.array([2, 5]), folds=2, embargo=0))
