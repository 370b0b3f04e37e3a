"""Indicators, worked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.market import indicators
from bot3.market.indicators import Floats

VALUES = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
NAN = np.nan


@pytest.mark.parametrize(
    ("indicator", "expected"),
    [
        (indicators.rolling_sum, [NAN, NAN, 6.0, 10.0, 11.0]),
        (indicators.rolling_mean, [NAN, NAN, 2.0, 10.0 / 3.0, 11.0 / 3.0]),
        (indicators.rolling_spread, [NAN, NAN, np.std([1, 3, 2]), np.std([3, 2, 5]), np.std([2, 5, 4])]),
        (indicators.rolling_highest, [NAN, NAN, 3.0, 5.0, 5.0]),
        (indicators.rolling_lowest, [NAN, NAN, 1.0, 2.0, 2.0]),
        (indicators.rolling_slope, [NAN, NAN, 0.5, 1.0, 1.0]),
    ],
)
def test_rolling_given_a_window_of_three_then_is_of_the_last_three(indicator: Callable[..., Floats], expected: list[float]) -> None:
    np.testing.assert_allclose(indicator(VALUES, window=3), expected)


def test_lags_given_values_then_the_first_ones_are_missing() -> None:
    np.testing.assert_array_equal(indicators.lagged(VALUES, lag=2), [NAN, NAN, 1.0, 3.0, 2.0])
    np.testing.assert_array_equal(indicators.change(VALUES, lag=2), [NAN, NAN, 1.0, 2.0, 2.0])


def test_ratio_given_something_too_small_below_then_is_missing() -> None:
    below = np.array([2.0, 1e-7, 2e-7, 0.0, -1.0])

    np.testing.assert_allclose(indicators.ratio(VALUES, below), [0.5, NAN, 1e7, NAN, NAN])
    np.testing.assert_allclose(indicators.ratio(VALUES, below, least=1.0), [0.5, NAN, NAN, NAN, NAN])


def test_log_ratio_given_something_too_small_on_either_side_then_is_missing() -> None:
    found = indicators.log_ratio(np.array([1.0, 0.0, 1.0, 4.0]), np.array([2.0, 2.0, 1e-8, 1.0]))

    np.testing.assert_allclose(found, [-np.log(2.0), NAN, NAN, np.log(4.0)])


@given(st.floats(1e-300, 1e300))
def test_power_of_two_below_given_a_value_then_is_the_largest_one_not_above(value: float) -> None:
    power = indicators.power_of_two_below(value)

    assert power <= value < 2.0 * power
    assert np.log2(power) == np.rint(np.log2(power))


def test_true_range_given_gaps_then_contains_them() -> None:
    high, low, close = np.array([10.0, 15.0, 9.0]), np.array([8.0, 14.0, 8.5]), np.array([9.0, 14.5, 8.6])

    assert indicators.true_range(high, low, close).tolist() == pytest.approx([2.0, 6.0, 6.0])


@pytest.mark.parametrize("rises", [True, False])
def test_bounded_indicators_given_a_steady_trend_then_are_at_its_end(rises: bool) -> None:
    close = np.exp((1.0 if rises else -1.0) * 0.01 * np.arange(120))
    high, low = close * 1.001, close * 0.999
    sign = 1.0 if rises else -1.0

    assert indicators.aroon_balance(high, low, window=14)[-1] == pytest.approx(sign)
    assert sign * indicators.directional_balance(high, low, close, window=14)[-1] > 0.7
