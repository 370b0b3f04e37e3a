"""Over which spans funding is known."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.replay.funding import LONGEST_STEP_US, changed_payments, funding_missing, has_funding, is_funding_known
from tests.markets import FIRST, funding_frame

HOUR = 3_600_000_000
EVERY_8H = np.arange(0, 241, 8) * HOUR


def known(start: float, end: float, times: np.ndarray = EVERY_8H) -> bool:
    (found,) = is_funding_known(times, np.array([start * HOUR], dtype="int64"), np.array([end * HOUR], dtype="int64")).tolist()
    return bool(found)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 24, True), (-1, 24, False), (100, 240, True), (200, 247, True), (200, 248, False), (300, 324, False)],
)
def test_funding_given_a_span_then_it_is_known_from_the_first_rate_until_the_next_one_is_due(start: int, end: int, expected: bool) -> None:
    assert known(start, end) is expected


def test_funding_given_a_hole_then_only_spans_that_meet_it_are_unknown() -> None:
    times = EVERY_8H[(EVERY_8H <= 96 * HOUR) | (EVERY_8H >= 120 * HOUR)]

    assert [known(start, start + 10, times) for start in (80, 90, 100, 115, 120, 130)] == [True, False, False, False, True, True]


def test_funding_given_hourly_rates_then_the_next_one_is_due_after_an_hour() -> None:
    assert [known(10, end, np.arange(0, 25) * HOUR) for end in (24.5, 25)] == [True, False]


def test_funding_given_none_then_nothing_is_known() -> None:
    assert not known(0, 1, np.zeros(0, dtype="int64"))


@given(start=st.integers(-50, 300), length=st.integers(0, 48), kept=st.sets(st.integers(0, 30), min_size=1), asked=st.integers(-30, 30))
def test_funding_that_is_known_for_a_span_is_known_for_each_span_inside(start: int, length: int, kept: set[int], asked: int) -> None:
    times = EVERY_8H[sorted(kept)]
    inner = min(max(start, start + asked), start + length)

    assert not known(start, start + length, times) or known(inner, start + length, times)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [("BTC/USDT:USDT", True), ("BTC/USD:BTC", True), ("BTC/USDT", False), ("BTC/USDT:USDT-270326", False)],
)
def test_has_funding_given_a_pair_then_only_contracts_without_an_expiry_have(pair: str, expected: bool) -> None:
    assert has_funding(pair) is expected


@pytest.mark.parametrize(("end", "expected"), [(7.9, True), (8.0, False)])
def test_funding_given_one_rate_then_the_next_one_is_due_after_8_hours(end: float, expected: bool) -> None:
    assert known(0, end, np.zeros(1, dtype="int64")) is expected
    assert LONGEST_STEP_US == 8 * HOUR


@pytest.mark.parametrize(("gap", "expected"), [(12.0, True), (12.5, False)])
def test_funding_given_two_rates_more_than_12_hours_apart_then_those_between_are_unknown(gap: float, expected: bool) -> None:
    times = (np.array([0.0, 8.0, 8.0 + gap, 16.0 + gap]) * HOUR).astype("int64")

    assert known(9, 10, times) is expected
    assert known(8 + gap, 9 + gap, times)
    assert known(0, 8, times)


def test_funding_given_rates_in_any_order_then_is_known_as_in_theirs() -> None:
    assert known(0, 24, EVERY_8H[::-1])
    assert not known(-1, 24, EVERY_8H[::-1])


def test_funding_missing_given_spans_then_counts_the_unknown_ones_of_pairs_with_funding() -> None:
    starts, ends = np.array([0, -5, 0, 300]) * HOUR, np.array([8, 8, 300, 301]) * HOUR

    assert funding_missing("BTC/USDT:USDT", EVERY_8H, starts, ends) == 3
    assert funding_missing("BTC/USDT", EVERY_8H, starts, ends) == 0


@pytest.mark.parametrize(
    ("hours", "rates", "expected"),
    [
        ([0, 8, 16], [1e-4, 2e-4, 3e-4], []),
        ([0, 8, 16, 24], [1e-4, 2e-4, 3e-4, 4e-4], [24]),
        ([0, 8], [1e-4, 2e-4], [16]),
        ([0, 8, 16], [1e-4, 9e-4, 3e-4], [8]),
        ([0, 4, 8, 16], [1e-4, 0.0, 2e-4, 3e-4], [4]),
        ([16], [3e-4], [0, 8]),
        ([], [], [0, 8, 16]),
    ],
)
def test_changed_payments_given_two_frames_then_are_those_that_only_one_has_or_whose_rates_differ(
    hours: list[int], rates: list[float], expected: list[int]
) -> None:
    before = funding_frame([FIRST + timedelta(hours=hour) for hour in (0, 8, 16)], [1e-4, 2e-4, 3e-4])
    after = funding_frame([FIRST + timedelta(hours=hour) for hour in hours], rates)
    first = int(FIRST.timestamp()) * 1_000_000

    for frames in ((before, after), (after, before)):
        assert ((changed_payments(*frames) - first) // HOUR).tolist() == expected
