from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import ABOVE_BINS, LEVERAGE_BINS, bins_of_range, leverage_bin, leverage_spans, recorded_bin


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


@given(bins=st.sets(st.sampled_from(LEVERAGE_BINS)), highest=st.floats(1.0, 150.0))
def test_leverage_spans_given_any_bins_and_cap_then_both_ends_lie_in_their_bin_and_under_the_cap(bins: set[str], highest: float) -> None:
    spans = leverage_spans(bins, highest=highest)

    assert [(leverage_bin(low), leverage_bin(high)) for low, high in spans] == [
        (name, name) for name in LEVERAGE_BINS if name in bins and float(name.split("-")[0]) <= highest
    ]
    assert all(low <= high <= highest for low, high in spans)


def test_leverage_spans_given_all_bins_then_every_hundredth_from_1_to_10_is_in_one_of_them() -> None:
    spans = leverage_spans(LEVERAGE_BINS)

    inside = {count for low, high in spans for count in range(round(low * 100), round(high * 100) + 1)}
    assert inside == set(range(100, 1_001))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.0, 2.0, ("1.0-2.0",)),
        (1.0, 1.99, ("1.0-2.0",)),
        (1.0, 3.5, ("1.0-2.0", "2.0-3.5")),
        (3.5, 7.49, ("3.5-5.0", "5.0-7.5")),
        (7.5, 10.0, ("7.5-10.0",)),
        (2.0, 2.0, ("2.0-3.5",)),
        (10.0, 10.0, ("7.5-10.0",)),
    ],
)
def test_bins_of_range_given_an_upper_end_on_an_edge_then_leaves_the_bin_above_it_out(
    low: float, high: float, expected: tuple[str, ...]
) -> None:
    assert bins_of_range(low, high) == expected
