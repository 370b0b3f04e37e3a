from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins, are_separate, bin_order, edges_of_bin, is_outside
from tests.leverages import any_bins


@pytest.mark.parametrize(
    "edges",
    [
        (),
        (2.0,),
        (2.0, 1.0),
        (1.0, 1.0),
        (0.5, 2.0),
        (1.0, 125.5),
        (1.0, 2.005),
        (1.0, 2.00000000001),
        (1.0, math.nan),
        (1.0, math.inf),
        (math.nan, 2.0),
    ],
)
def test_bins_given_edges_that_are_no_ranges_then_refuse_and_show_an_example(edges: tuple[float, ...]) -> None:
    with pytest.raises(InvalidTradeError, match="such as 1,2,4,8; were"):
        LeverageBins(edges)


@pytest.mark.parametrize(
    ("leverage", "expected"),
    [(1.0, "1.0-2.0"), (1.999, "1.0-2.0"), (2.0, "2.0-3.5"), (3.5, "3.5-5.0"), (5.0, "5.0-7.5"), (7.5, "7.5-10.0"), (10.0, "7.5-10.0")],
)
def test_name_of_given_an_edge_then_lower_is_in(leverage: float, expected: str) -> None:
    assert DEFAULT_BINS.name_of(leverage) == expected


@pytest.mark.parametrize("leverage", [0.99, 10.01, -1.0, math.nan, math.inf])
def test_name_of_given_a_leverage_outside_then_refuses(leverage: float) -> None:
    with pytest.raises(InvalidTradeError, match="from 1 to 10"):
        DEFAULT_BINS.name_of(leverage)


@given(bins=any_bins, share=st.floats(0.0, 1.0))
def test_name_of_given_any_bins_and_a_leverage_inside_then_its_edges_enclose_it(bins: LeverageBins, share: float) -> None:
    leverage = min(bins.lowest + share * (bins.highest - bins.lowest), bins.highest)

    low, high = edges_of_bin(bins.name_of(leverage)) or (math.nan, math.nan)

    assert low <= leverage <= high
    assert leverage < high or high == bins.highest


@given(bins=any_bins)
def test_names_given_any_bins_then_contain_the_edges_and_are_separate(bins: LeverageBins) -> None:
    assert [edges_of_bin(name) for name in bins.names] == list(pairwise(bins.edges))
    assert are_separate(bins.names)
    assert not any(map(is_outside, bins.names))
    assert all(map(is_outside, bins.outside))


@pytest.mark.parametrize("name", ["", "*", "1-2", "2.0-1.0", "1.0-1.0", "0.5-1.0", "1.0-nan", "1.0-2.0-3.0", "10.0+", "<2.0", "1.0-126.0"])
def test_edges_of_bin_given_a_text_that_is_no_bin_then_none(name: str) -> None:
    assert edges_of_bin(name) is None


@pytest.mark.parametrize("names", [("1.0-3.0", "2.0-3.5"), ("2.0-3.5", "1.0-2.0"), ("1.0-2.0", "1.0-2.0"), ("1.0-2.0", "all")])
def test_are_separate_given_bins_that_overlap_or_are_not_in_order_then_false(names: tuple[str, ...]) -> None:
    assert not are_separate(names)


@pytest.mark.parametrize(
    ("edges", "leverage", "expected"),
    [
        (DEFAULT_BINS.edges, 1.0, "1.0-2.0"),
        (DEFAULT_BINS.edges, 10.0, "7.5-10.0"),
        (DEFAULT_BINS.edges, 10.01, "10.0+"),
        (DEFAULT_BINS.edges, 125.0, "10.0+"),
        ((2.0, 4.0), 1.99, "<2.0"),
        ((2.0, 4.0), 4.5, "4.0+"),
    ],
)
def test_label_of_given_any_leverage_of_a_trade_then_labels_it(edges: tuple[float, ...], leverage: float, expected: str) -> None:
    bins = LeverageBins(edges)

    assert bins.label_of(leverage) == expected
    assert is_outside(expected) is (expected in bins.outside)


@pytest.mark.parametrize("leverage", [0.5, float("inf"), float("nan")])
def test_label_of_given_what_is_no_leverage_then_refuses(leverage: float) -> None:
    with pytest.raises(InvalidTradeError):
        DEFAULT_BINS.label_of(leverage)


@given(bins=any_bins, data=st.data(), highest=st.floats(1.0, 150.0))
def test_spans_given_any_bins_and_cap_then_both_ends_lie_in_their_bin_and_under_the_cap(
    bins: LeverageBins, data: st.DataObject, highest: float
) -> None:
    names = data.draw(st.sets(st.sampled_from(bins.names)))

    spans = bins.spans(names, highest=highest)

    wanted = [name for name, (low, _) in zip(bins.names, pairwise(bins.edges), strict=True) if name in names and low <= highest]
    assert [(bins.name_of(low), bins.name_of(high)) for low, high in spans] == [(name, name) for name in wanted]
    assert all(low <= high <= highest for low, high in spans)


@given(bins=any_bins)
def test_spans_given_all_bins_then_every_hundredth_is_in_one_of_them(bins: LeverageBins) -> None:
    spans = bins.spans(bins.names, highest=bins.highest)

    inside = [count for low, high in spans for count in range(round(low * 100), round(high * 100) + 1)]
    assert inside == list(range(round(bins.lowest * 100), round(bins.highest * 100) + 1))


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
def test_of_range_given_an_upper_end_on_an_edge_then_omits_the_bin_above_it(low: float, high: float, expected: tuple[str, ...]) -> None:
    assert DEFAULT_BINS.of_range(low, high) == expected


@given(bins=any_bins)
def test_bin_order_given_any_bins_then_sorts_them_by_their_edges(bins: LeverageBins) -> None:
    assert sorted([*bins.names, "*"], key=bin_order) == ["*", *bins.names]
