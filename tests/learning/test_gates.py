from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.gates import NOMINAL, SCALES, STREAMS, Gates, bet_sizes, closed_gates, fold_day, lowered, open_nodes, review

NODE = np.repeat(np.arange(6), 4)
BINS, DAYS = len(NODE), 250
SD = 0.025
BOUNDS = np.full(BINS, 0.001)
BET = 0.003 / SD**2  # for an edge of 30 bps


def day_sums(*, rng: np.random.Generator, edge: float, worlds: int = 1) -> np.ndarray:
    """Two trades a bin and day, heavy-tailed, half of whose variance is the day's and the next day's market."""
    market = rng.standard_t(4, (worlds, DAYS + 1, 1)) / np.sqrt(2.0)
    shared = (market[:, :-1] + market[:, 1:]) / np.sqrt(2.0)
    own = rng.standard_t(4, (worlds, DAYS, BINS)) / np.sqrt(2.0)
    return 2.0 * edge + SD * (np.sqrt(2.0) * shared + own)


def year_of(sums: np.ndarray, *, bets: np.ndarray) -> tuple[Gates, bool]:
    gates, ever = closed_gates(NODE), False
    for day, totals in enumerate(sums):
        gates = review(fold_day(gates, day=day, totals=totals, bets=bets), lower_bounds=BOUNDS)
        ever |= bool(gates.raised.any())
    return gates, ever


def test_review_given_400_years_without_edge_looked_at_daily_then_any_bin_is_raised_in_few() -> None:
    sums = day_sums(rng=np.random.default_rng(1), edge=0.0, worlds=400)

    wrong = sum(year_of(world, bets=np.full(BINS, 3.0 * BET))[1] for world in sums)

    assert wrong / 400 <= NOMINAL


def test_review_given_a_t_test_looked_at_daily_then_would_be_wrong_in_most() -> None:
    sums = day_sums(rng=np.random.default_rng(1), edge=0.0, worlds=100)
    n = np.arange(1, DAYS + 1)[:, None]
    mean = np.cumsum(sums, axis=1) / n
    deviation = np.sqrt(np.maximum(np.cumsum(sums**2, axis=1) / n - mean**2, 1e-12) / n)

    assert (mean[:, 20:] > 1.645 * deviation[:, 20:]).any(axis=(1, 2)).mean() > 0.5


def test_review_given_an_edge_then_raises_its_bins() -> None:
    sums = day_sums(rng=np.random.default_rng(2), edge=0.0)[0]
    rng = np.random.default_rng(3)
    sums[:, NODE == 2] = 2.0 * 0.008 + SD * rng.standard_t(4, (DAYS, 4))

    gates, _ = year_of(sums, bets=np.full(BINS, BET))

    assert gates.raised[NODE == 2].all()
    assert not gates.raised[NODE != 2].any()


def test_review_given_an_open_node_then_raises_only_bins_whose_lower_bound_is_above_0() -> None:
    wealth = np.zeros((6, STREAMS, len(SCALES)))
    wealth[1] = 20.0
    bounds = np.where(np.arange(BINS) % 2 == 0, 0.001, -0.001)

    gates = review(Gates(log_wealth=wealth, raised=np.zeros(BINS, dtype=np.bool_), node=NODE), lower_bounds=bounds)

    assert gates.raised.tolist() == ((NODE == 1) & (bounds > 0.0)).tolist()


def test_lowered_given_a_bound_that_fell_then_takes_permission_at_once_and_raises_none() -> None:
    wealth = np.full((6, STREAMS, len(SCALES)), 20.0)
    gates = Gates(log_wealth=wealth, raised=np.arange(BINS) < 4, node=NODE)

    after = lowered(gates, lower_bounds=np.where(np.arange(BINS) == 0, -0.001, 0.001))

    assert after.raised.tolist() == [False, True, True, True, *[False] * (BINS - 4)]


def test_open_nodes_given_several_with_evidence_then_each_needs_less() -> None:
    wealth = np.zeros((6, STREAMS, len(SCALES)))
    level = np.log(6 * STREAMS / NOMINAL) - np.log(3) + 1e-9
    wealth[:2] = level
    two = Gates(log_wealth=wealth, raised=np.zeros(BINS, dtype=np.bool_), node=NODE)
    wealth = wealth.copy()
    wealth[2] = level
    three = Gates(log_wealth=wealth, raised=np.zeros(BINS, dtype=np.bool_), node=NODE)

    assert open_nodes(two).sum() == 0
    assert open_nodes(three).sum() == 3


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), day=st.integers(20_000, 30_000), size=st.floats(0.0, 1e4))
def test_fold_day_touches_the_stream_of_its_day_alone_and_ruins_none(seed: int, day: int, size: float) -> None:
    totals = np.random.default_rng(seed).normal(0.0, 1.0, BINS)

    after = fold_day(closed_gates(NODE), day=day, totals=totals, bets=np.full(BINS, size))

    assert (after.log_wealth[:, 1 - day % STREAMS] == 0.0).all()
    assert np.isfinite(after.log_wealth).all()


@pytest.mark.parametrize(("bet", "total"), [(-1.0, 0.01), (np.nan, 0.01), (1.0, np.nan)])
def test_fold_day_given_a_bet_or_a_sum_that_cannot_be_then_refuses(bet: float, total: float) -> None:
    with pytest.raises(LearningError):
        fold_day(closed_gates(NODE), day=0, totals=np.full(BINS, total), bets=np.full(BINS, bet))


def test_bet_sizes_given_no_gain_expected_then_bet_nothing() -> None:
    bets = bet_sizes(np.array([-0.001, 0.0, 0.002]), np.full(3, 0.001), variances=np.full(3, SD**2))

    assert bets.tolist() == pytest.approx([0.0, 0.0, 0.002 / (SD**2 + 0.001**2)])
