"""Means and ratios with intervals that respect days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.intervals import MIN_DAYS, clustered_mean, clustered_ratio, student_quantile


def test_clustered_mean_given_days_of_one_kind_then_is_wider_than_independence() -> None:
    values, days = np.tile([1.0, -1.0], 50), np.arange(100)
    alike = np.repeat(np.arange(10), 10)

    alone = clustered_mean(values, days)
    together = clustered_mean(np.repeat(np.tile([1.0, -1.0], 5), 10), alike)

    assert together.high > 2.0 * alone.high


def test_clustered_mean_given_normal_days_then_covers_the_truth_nine_times_of_ten() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(600):
        shifts = rng.normal(0.0, 1.0, 8).repeat(6)
        found = clustered_mean(shifts + rng.normal(0.0, 1.0, 48), np.arange(8).repeat(6))
        covered += found.low <= 0.0 <= found.high

    assert 0.86 < covered / 600 < 0.94


@pytest.mark.parametrize("days", [1, 2, 5, MIN_DAYS - 1])
def test_interval_given_fewer_days_than_the_least_then_has_no_ends(days: int) -> None:
    rng = np.random.default_rng(1)
    values, clusters = rng.normal(0.0, 1.0, 20 * days), np.arange(days).repeat(20)

    mean, ratio = clustered_mean(values, clusters), clustered_ratio(values, np.ones(20 * days), clusters)

    assert (mean.low, mean.high, ratio.low, ratio.high) == (None, None, None, None)
    assert mean.value == pytest.approx(ratio.value) == pytest.approx(values.mean())


def test_interval_given_the_least_days_then_has_ends() -> None:
    values, clusters = np.random.default_rng(1).normal(0.0, 1.0, 20 * MIN_DAYS), np.arange(MIN_DAYS).repeat(20)

    for found in (clustered_mean(values, clusters), clustered_ratio(values, np.ones(20 * MIN_DAYS), clusters)):
        assert found.low < found.value < found.high


def test_clustered_ratio_given_equal_stakes_then_is_the_mean_with_about_its_interval() -> None:
    values, clusters = np.random.default_rng(2).normal(0.0, 1.0, 300), np.arange(30).repeat(10)

    ratio, mean = clustered_ratio(100.0 * values, np.full(300, 100.0), clusters), clustered_mean(values, clusters)

    assert ratio.value == pytest.approx(mean.value)
    assert (ratio.low, ratio.high) == (pytest.approx(mean.low, rel=0.02), pytest.approx(mean.high, rel=0.02))


def test_clustered_ratio_given_one_day_that_has_nearly_all_stakes_then_has_no_interval() -> None:
    stakes = np.where(np.arange(200) < 10, 1_000.0, 3.0)
    profits = stakes * np.random.default_rng(3).normal(0.0, 0.02, 200)

    found = clustered_ratio(profits, stakes, np.arange(20).repeat(10))

    assert found.value == pytest.approx(profits.sum() / stakes.sum())
    assert (found.low, found.high) == (None, None)


def test_clustered_ratio_given_days_that_are_all_equal_then_has_no_interval() -> None:
    found = clustered_ratio(np.full(15, 0.0012), np.full(15, 0.02), np.arange(15))

    assert (found.value, found.low) == (pytest.approx(0.06), None)


@given(st.lists(st.tuples(st.floats(0.5, 2_000.0), st.floats(-0.5, 0.5)), min_size=1, max_size=60), st.integers(1, 20))
def test_clustered_ratio_given_any_trades_then_the_interval_contains_it(trades: list[tuple[float, float]], days: int) -> None:
    stakes = np.array([stake for stake, _ in trades])
    profits = stakes * np.array([ratio for _, ratio in trades])
    _, clusters = np.unique(np.arange(len(trades)) % days, return_inverse=True)

    found = clustered_ratio(profits, stakes, clusters)

    assert found.value == pytest.approx(profits.sum() / stakes.sum(), abs=1e-12)
    assert found.low is None or found.low <= found.value <= found.high


@pytest.mark.parametrize("large_days", [2, 3, 8, 30])
def test_clustered_ratio_given_probes_and_large_stakes_then_covers_the_truth_nine_times_of_ten(large_days: int) -> None:
    """Thirty days of probes of 3 that win, and of stakes of 1,000 that lose, the latter on so many days alone."""
    rng = np.random.default_rng(11)
    is_large = np.repeat(np.arange(30) >= 30 - large_days, 6)
    stakes, clusters = np.where(is_large, 1_000.0, 3.0), np.arange(30).repeat(6)
    means = np.where(is_large, -0.004, 0.01)
    truth = float((stakes * means).sum() / stakes.sum())
    covered = total = 0
    for _ in range(400):
        outcome = means + rng.normal(0.0, 0.01, 30).repeat(6) + rng.choice([0.012, -0.048], p=[0.8, 0.2], size=180)
        found = clustered_ratio(stakes * outcome, stakes, clusters)
        if found.low is not None:
            total += 1
            covered += found.low <= truth <= found.high

    assert total == 400
    assert 0.86 < covered / total < 0.96


@pytest.mark.parametrize(("degrees", "quantile"), [(1.0, 6.3138), (2.0, 2.92), (4.0, 2.1318), (7.0, 1.8946), (29.0, 1.6991)])
def test_student_quantile_given_degrees_then_is_the_tables(degrees: float, quantile: float) -> None:
    assert student_quantile(0.95, degrees=degrees) == pytest.approx(quantile, rel=1e-3)
