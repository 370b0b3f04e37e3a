"""What may be said of learned settings on trades they were not learned from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bot3.learning.evaluation.comparison import (
    IntervalEstimate,
    JudgedTrades,
    Verdict,
    clustered_estimate,
    compare,
    level_of_each,
    split_at,
    split_by_time,
    verdict_of,
)
from bot3.market.instants import DAY_US

HOUR_US = 3_600_000_000


def outcomes(learned: NDArray[np.float64], static: NDArray[np.float64], *, leverage: float = 4.0) -> JudgedTrades:
    n = len(learned)
    return JudgedTrades(
        open_us=np.arange(n, dtype=np.int64) * 6 * HOUR_US,
        leverage=np.full(n, leverage),
        close_profit=np.full(n, 0.01),
        static_move=static,
        learned_move=learned,
    )


@given(
    opens=st.lists(st.integers(0, 10**15), min_size=1, max_size=60),
    share=st.floats(0.01, 0.99),
    horizon=st.integers(1, 10**14),
)
def test_split_lets_nothing_of_a_fitted_trade_be_known_after_the_cut(opens: list[int], share: float, horizon: int) -> None:
    open_us = np.array(opens, dtype=np.int64)

    split = split_by_time(open_us, open_us + horizon, share=share)

    assert bool((open_us[split.fitted] + horizon <= split.at_us).all())
    assert bool((open_us[split.judged] >= split.at_us).all())
    assert not bool((split.fitted & split.judged).any())
    assert split.fitted.sum() + split.judged.sum() + split.embargoed.sum() == len(opens)


def test_split_given_six_tenths_then_so_many_are_before_the_cut() -> None:
    open_us = np.arange(100, dtype=np.int64) * HOUR_US

    split = split_by_time(open_us, open_us + 24 * HOUR_US, share=0.6)

    assert (split.at_us, split.fitted.sum(), split.embargoed.sum(), split.judged.sum()) == (60 * HOUR_US, 37, 23, 40)


def test_split_given_no_trade_then_refuses() -> None:
    none = np.zeros(0, dtype=np.int64)

    with pytest.raises(ValueError, match="needs trades"):
        split_by_time(none, none, share=0.6)


def clustered_days(rng: np.random.Generator, *, days: int, spill: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return outcomes with mean 0 whose days move together, and in part with the day before."""
    counts = rng.integers(1, 12, days)
    shock = rng.normal(0.0, 1.0, days + 1)
    day = np.repeat(np.arange(days), counts)
    common = shock[1:] + spill * shock[:-1]
    return common[day] + rng.normal(0.0, 1.0, len(day)), day * DAY_US


@pytest.mark.parametrize(("days", "spill"), [(10, 0.0), (30, 0.0), (30, 0.7), (90, 0.0), (90, 0.7)])
def test_clustered_estimate_given_days_that_move_together_then_covers_as_it_says(days: int, spill: float) -> None:
    rng = np.random.default_rng(11)

    drawn = [clustered_estimate(*clustered_days(rng, days=days, spill=spill)) for _ in range(800)]

    covered = sum(found.lower <= 0.0 <= found.upper for found in drawn) / 800
    assert covered >= 0.935
    # Few days leave little to learn the clustering from: there it may be too wide, never too narrow.
    assert covered <= 0.985 or days < 30


def test_clustered_estimate_given_few_days_then_its_interval_has_no_ends() -> None:
    found = clustered_estimate(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2], dtype=np.int64) * DAY_US)

    assert found == IntervalEstimate(mean=2.0, lower=-np.inf, upper=np.inf)


def test_clustered_estimate_given_independent_days_then_is_students() -> None:
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])

    found = clustered_estimate(values, np.arange(8, dtype=np.int64) * 3 * DAY_US, horizon_days=0)

    # t(7) at 97.5 % is 2.364624; the standard deviation of the mean is sqrt(8/7/8).
    assert found.upper == pytest.approx(2.364624 / np.sqrt(7.0), rel=1e-4)


@given(st.lists(st.floats(-1.0, 1.0), min_size=40, max_size=80), st.floats(1.0, 10.0))
def test_compare_given_the_same_settings_twice_then_says_nothing(moves: list[float], leverage: float) -> None:
    same = np.array(moves)

    found = compare(outcomes(same, same, leverage=leverage))

    assert (found.gain.mean, found.verdict) == (0.0, Verdict.NOT_ENOUGH_EVIDENCE)
    assert found.learned_profit == pytest.approx(found.learned_move * leverage)


def test_compare_given_a_steady_gain_then_says_which_is_better() -> None:
    rng = np.random.default_rng(3)
    static, more = rng.normal(0.0, 0.02, 200), rng.normal(0.004, 0.001, 200)

    assert compare(outcomes(static + more, static)).verdict is Verdict.LEARNED_BETTER
    assert compare(outcomes(static - more, static)).verdict is Verdict.STATIC_BETTER
    assert compare(outcomes(static + more, static).take(np.arange(29))).verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_verdict_given_zero_inside_then_there_is_not_enough_evidence() -> None:
    assert verdict_of(IntervalEstimate(mean=0.1, lower=0.0, upper=0.2), n=1_000) is Verdict.NOT_ENOUGH_EVIDENCE


def test_level_of_each_given_ten_groups_then_all_hold_together() -> None:
    assert level_of_each(10) == pytest.approx(0.995)
    assert level_of_each(0) == 0.95


def test_split_at_given_an_instant_then_it_is_the_first_that_is_judged() -> None:
    open_us = np.arange(10, dtype=np.int64) * HOUR_US

    split = split_at(open_us, open_us + 2 * HOUR_US, at_us=5 * HOUR_US)

    assert (split.fitted.tolist(), split.judged.tolist()) == ([True] * 4 + [False] * 6, [False] * 5 + [True] * 5)
