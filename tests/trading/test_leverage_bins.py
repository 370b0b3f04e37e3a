from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import ABOVE_BINS, LEVERAGE_BINS, leverage_bin, recorded_bin


@pytest.mark.parametrize(
    ("leverage", "expected"),
    [(1.0, "1.0-2.0"), (1.999, "1.0-2.0"), (2.0, "2.0-3.5"), (3.5, "3.5-5.0"), (5.0, "5.0-7.5"), (7.5, "7.5-10.0"), (10.0, "7.5-10.0")],
)
def test_leverage_bin_given_an_edge_then_lower_is_in(leverage: float, expected: str) -> None:
    assert leverage_bin(leverage) == expected


@pytest.mark.parametrize("leverage", [0.99, 10.01, -1.0, math.nan, math.inf])
def test_leverage_bin_given_a_leverage_outside_then_refuses(leverage: float) -> None:
    with pytest.raises(InvalidTradeError, match="from 1 to 10"):
        leverage_bin(leverage)


@given(st.floats(1.0, 10.0))
def test_leverage_bin_given_any_leverage_then_its_edges_hold_it(leverage: float) -> None:
    low, high = (float(edge) for edge in leverage_bin(leverage).split("-"))

    assert low <= leverage <= high
    assert leverage_bin(leverage) in LEVERAGE_BINS


@pytest.mark.parametrize(("leverage", "expected"), [(1.0, "1.0-2.0"), (10.0, "7.5-10.0"), (10.01, ABOVE_BINS), (125.0, ABOVE_BINS)])
def test_recorded_bin_given_any_leverage_of_a_trade_then_labels_it(leverage: float, expected: str) -> None:
    assert recorded_bin(leverage) == expected


@pytest.mark.parametrize("leverage", [0.5, float("inf"), float("nan")])
def test_recorded_bin_given_what_is_no_leverage_then_refuses(leverage: float) -> None:
    with pytest.raises(InvalidTradeError):
        recorded_bin(leverage)
