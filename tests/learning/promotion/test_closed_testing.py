from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.promotion.closed_testing import NOMINAL, needed, selected

evidences = st.lists(st.sampled_from([0.0, 0.01, 0.5, 1.0, 3.0, 8.0, 20.0, 26.0, 60.0, 150.0, 400.0]), min_size=1, max_size=6)


def by_all_sets(evidence: list[float]) -> int:
    """Return how many nodes closed e-BH selects, by its definition: over every set of nodes."""
    nodes = sorted(evidence, reverse=True)
    sets = [one for size in range(1, len(nodes) + 1) for one in combinations(range(len(nodes)), size)]
    for k in range(len(nodes), 0, -1):
        if all(np.mean([nodes[at] for at in one]) >= sum(at < k for at in one) / (NOMINAL * k) - 1e-12 for one in sets):
            return k
    return 0


def by_e_bh(evidence: np.ndarray) -> np.ndarray:
    order = np.argsort(-evidence, kind="stable")
    enough = np.flatnonzero(evidence[order] >= len(evidence) / (NOMINAL * np.arange(1, len(evidence) + 1)))
    flags = np.zeros(len(evidence), dtype=bool)
    flags[order[: int(enough[-1]) + 1 if len(enough) else 0]] = True
    return flags


@settings(max_examples=60, deadline=None)
@given(evidence=evidences)
def test_selected_is_the_closure_over_all_sets(evidence: list[float]) -> None:
    flags = selected(np.array(evidence))

    assert flags.sum() == by_all_sets(evidence)
    assert min(np.array(evidence)[flags], default=np.inf) >= max(np.array(evidence)[~flags], default=0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), spread=st.floats(0.1, 6.0))
def test_selected_contains_what_e_bh_selects(seed: int, n: int, spread: float) -> None:
    evidence = np.exp(np.random.default_rng(seed).normal(2.0, spread, n))

    assert selected(evidence)[by_e_bh(evidence)].all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), spread=st.floats(0.1, 5.0))
def test_needed_is_where_a_node_begins_to_be_selected(seed: int, n: int, spread: float) -> None:
    evidence = np.exp(np.random.default_rng(seed).normal(2.0, spread, n))

    least = needed(evidence)

    for place in range(n):
        for factor, is_selected in ((1.0 + 1e-6, True), (1.0 - 1e-6, False)):
            moved = evidence.copy()
            moved[place] = least[place] * factor
            assert selected(moved)[place] == is_selected


def test_selected_given_no_node_then_is_empty() -> None:
    assert selected(np.zeros(0)).tolist() == []
    assert needed(np.zeros(0)).tolist() == []


def test_needed_given_one_node_then_is_the_inverse_of_the_nominal_level() -> None:
    assert needed(np.ones(1)).tolist() == [pytest.approx(1.0 / NOMINAL)]


def test_selected_given_many_nodes_with_much_evidence_then_all_of_them_though_none_has_enough_for_e_bh() -> None:
    evidence = np.array([70.0, 36.0, 24.0])

    assert selected(evidence).tolist() == [True, True, True]
    assert by_e_bh(evidence).tolist() == [False, False, False]
