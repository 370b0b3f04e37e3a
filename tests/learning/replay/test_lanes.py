"""The search for the first of many numbers at or below a level."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.replay.lanes import BLOCK, BLOCKS, first_block, first_in_block, soon


@numba.njit
def in_block(numbers: Any, start: int, level: float) -> int:
    return first_in_block(numbers, start, np.float32(level))  # type: ignore[no-any-return]


@numba.njit
def of_blocks(numbers: Any, start: int, level: float) -> int:
    return first_block(numbers, start, np.float32(level))  # type: ignore[no-any-return]


@numba.njit
def prefetched(numbers: Any, place: int) -> float:
    soon(numbers, place)
    return numbers[place]  # type: ignore[no-any-return]


NUMBERS = np.arange(100, 0, -1).astype(np.float32)


@pytest.mark.parametrize(("search", "lanes"), [(in_block, 16), (of_blocks, 32)])
@pytest.mark.parametrize("start", [0, 7])
def test_first_given_falling_numbers_then_is_the_first_at_or_below_the_level(search: Any, lanes: int, start: int) -> None:
    found = [search(NUMBERS, start, float(NUMBERS[start + place])) for place in range(lanes)]

    assert found == list(range(lanes))
    assert search(NUMBERS, start, 0.5) == lanes
    assert search(NUMBERS, start, float(NUMBERS[start + lanes])) == lanes
    assert (BLOCK, BLOCKS) == (16, 32)


@given(
    numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=40, max_size=40),
    start=st.integers(0, 8),
    level=st.floats(-1e6, 1e6, width=32),
)
def test_first_given_any_numbers_then_is_that_of_a_loop(numbers: list[float], start: int, level: float) -> None:
    array = np.array(numbers, dtype=np.float32)

    for search, lanes in ((in_block, BLOCK), (of_blocks, BLOCKS)):
        assert search(array, start, level) == next((place for place in range(lanes) if numbers[start + place] <= level), lanes)


def test_first_given_nan_then_it_is_never_at_or_below() -> None:
    numbers = np.full(32, np.nan, dtype=np.float32)
    numbers[5] = 1.0

    assert (in_block(numbers, 0, 1.0), of_blocks(numbers, 0, 0.5), in_block(numbers, 0, np.nan)) == (5, 32, 16)


def test_soon_given_a_number_then_changes_nothing() -> None:
    assert prefetched(NUMBERS, 3) == 97.0
