"""Counts and means of groups under weights of the periods."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.pooling.evidence import Evidence, group_means, quotient

LABELS = np.zeros(2, dtype=np.int64)


def test_group_means_given_weights_then_are_weighted_sums_over_weighted_counts() -> None:
    n = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    totals = np.zeros((2, 3, 1, 2))
    totals[0, :, 0] = [[4.0, 2.0], [0.0, 0.0], [3.0, 9.0]]
    evidence = Evidence(n=n, totals=totals, pair=LABELS, direction=LABELS, leverage_bin=LABELS)

    n_eff, means = group_means(evidence, np.array([1.0, 0.5, 0.5]))

    assert n_eff.tolist() == pytest.approx([3.5**2 / (2.0 + 3.0 * 0.25), 0.0])
    assert means.tolist() == [pytest.approx([5.5 / 3.5, 6.5 / 3.5]), [0.0, 0.0]]


def test_quotient_given_zeros_below_then_is_zero_there() -> None:
    found = quotient(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[4.0], [0.0]]))

    assert found.tolist() == [[0.25, 0.5], [0.0, 0.0]]


@pytest.mark.parametrize(("shape", "labels"), [((2, 3, 1, 1), 2), ((2, 2, 1, 1), 1), ((1, 2, 1, 1), 2)])
def test_evidence_given_other_lengths_then_is_refused(shape: tuple[int, ...], labels: int) -> None:
    pair = np.zeros(labels, dtype=np.int64)

    with pytest.raises(LearningError, match="one count for each group and period"):
        Evidence(n=np.ones((2, 2)), totals=np.zeros(shape), pair=pair, direction=pair, leverage_bin=pair)
