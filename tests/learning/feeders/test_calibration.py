"""Slopes, expectancies and win rates: planted values are found, and without information they are 0 or the base rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.calibration import LEAST_T, WinRate, fit_expectancies, fit_slope, fit_win_rate, log_loss

COUNT = 6_000
CLUSTERS = np.arange(COUNT) // 20


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), slope=st.floats(0.4, 1.5))
def test_fit_slope_given_a_planted_slope_then_finds_it(seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    forecast = rng.standard_normal(COUNT)

    found = fit_slope(forecast, slope * forecast + rng.standard_normal(COUNT), np.ones(COUNT), CLUSTERS)

    assert found.value == pytest.approx(slope, abs=0.07)
    assert found.t > 10.0


def test_fit_slope_given_no_information_then_is_seldom_above_zero_although_rows_of_a_cluster_move_together() -> None:
    informed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        forecast, outcome = (np.repeat(rng.standard_normal(COUNT // 20), 20) + 0.3 * rng.standard_normal(COUNT) for _ in range(2))
        informed += fit_slope(forecast, outcome, np.ones(COUNT), CLUSTERS).value > 0.0

    assert informed <= 12  # 2.3 % are expected at two standard errors


@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_fit_slope_given_forecasts_that_mislead_or_say_nothing_then_is_zero(sign: float) -> None:
    rng = np.random.default_rng(1)
    forecast = rng.standard_normal(COUNT)

    assert fit_slope(sign * forecast, forecast, np.ones(COUNT), CLUSTERS).value == 0.0


def test_fit_slope_given_few_clusters_then_is_zero() -> None:
    forecast = np.linspace(-1.0, 1.0, 90)

    assert fit_slope(forecast, forecast, np.ones(90), np.arange(90) // 10).value == 0.0


@pytest.mark.parametrize(("long", "short"), [(0.3, 0.3), (0.4, 0.2), (0.0, 0.0)])
def test_fit_expectancies_given_many_trades_then_finds_them_and_given_few_shrinks(long: float, short: float) -> None:
    rng = np.random.default_rng(3)
    is_short = rng.random(COUNT) < 0.5
    outcome = np.where(is_short, short, long) + rng.standard_normal(COUNT) * 0.5
    few = slice(0, 400)

    many = fit_expectancies(outcome, np.ones(COUNT), is_short, CLUSTERS)
    less = fit_expectancies(outcome[few] * 4.0, np.ones(400), is_short[few], CLUSTERS[few])

    assert many == pytest.approx((long, short), abs=0.03)
    assert abs(sum(less)) < abs(outcome[few].mean() * 8.0)


def test_fit_expectancies_given_no_trade_then_are_zero() -> None:
    nothing = np.zeros(0)

    assert fit_expectancies(nothing, nothing, nothing.astype(np.bool_), nothing.astype(np.int64)) == (0.0, 0.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), slope=st.floats(0.5, 2.0), offset=st.floats(-1.0, 1.0))
def test_fit_win_rate_given_planted_numbers_then_finds_them(seed: int, slope: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    expected = rng.standard_normal(40_000)
    truth = WinRate(slope=slope, offset=offset).probability(expected)

    found = fit_win_rate(expected, rng.random(40_000) < truth, np.ones(40_000))

    assert np.abs(found.probability(expected) - truth).max() < 0.05


def test_fit_win_rate_given_expectations_that_mislead_then_is_the_base_rate() -> None:
    rng = np.random.default_rng(5)
    expected = rng.standard_normal(20_000)
    is_won = rng.random(20_000) < 1.0 / (1.0 + np.exp(expected))

    found = fit_win_rate(expected, is_won, np.ones(20_000))

    assert found.slope == 0.0
    assert found.probability(expected)[0] == pytest.approx(is_won.mean(), abs=1e-3)
    assert log_loss(found.probability(expected), is_won, np.ones(20_000)) == pytest.approx(np.log(2.0), abs=1e-3)


@pytest.mark.parametrize("is_won", [True, False])
def test_fit_win_rate_given_one_outcome_only_then_is_neither_zero_nor_one(is_won: bool) -> None:
    found = fit_win_rate(np.array([0.1, 0.2, 0.3]), np.full(3, is_won), np.ones(3))

    assert 0.05 < found.probability(np.array([0.2]))[0] < 0.95


def test_fit_win_rate_given_no_row_then_is_one_half() -> None:
    nothing = np.zeros(0)

    assert fit_win_rate(nothing, nothing.astype(np.bool_), nothing).probability(np.array([3.0])).tolist() == [0.5]


@pytest.mark.parametrize(("slope", "offset"), [(-0.1, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_win_rate_given_invalid_numbers_then_refuses(slope: float, offset: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        WinRate(slope=slope, offset=offset)


def test_least_t_is_at_least_the_usual_two_standard_errors() -> None:
    assert LEAST_T >= 2.0
