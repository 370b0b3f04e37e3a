"""Entries inside and outside their candles."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.learning.replay.entry_fit import INSIDE, MOST, NO_CANDLE, OUTSIDE, entry_fit
from bot3.market.instants import instant_us
from tests.markets import FIRST, arrays, candle_frame

CANDLE_US = 300_000_000
FIRST_US = instant_us(FIRST)
CANDLES = arrays(candle_frame([(100.0, 110.0, 90.0, 100.0), (100.0, 220.0, 180.0, 200.0)]))


def fit(at_us: int, rate: float, *, candles: int = 2) -> int:
    own = arrays(candle_frame([(100.0, 110.0, 90.0, 100.0), (100.0, 220.0, 180.0, 200.0)][:candles]))
    (found,) = entry_fit(own, open_us=np.array([FIRST_US + at_us]), open_rate=np.array([rate]), candle_us=CANDLE_US).tolist()
    return int(found)


@pytest.mark.parametrize(
    ("at_us", "rate", "expected"),
    [
        (0, 100.0, INSIDE),
        (0, 90.0 * 0.9981, INSIDE),
        (0, 90.0 * 0.9979, OUTSIDE),
        (0, 110.0 * 1.0019, INSIDE),
        (0, 110.0 * 1.0021, OUTSIDE),
        (0, 200.0, OUTSIDE),
        (CANDLE_US - 1, 100.0, INSIDE),
        (CANDLE_US, 100.0, OUTSIDE),
        (CANDLE_US, 200.0, INSIDE),
        (2 * CANDLE_US - 1, 200.0, INSIDE),
        (2 * CANDLE_US, 200.0, NO_CANDLE),
        (-1, 100.0, NO_CANDLE),
    ],
)
def test_entry_fit_given_a_rate_then_is_judged_by_the_candle_of_its_instant(at_us: int, rate: float, expected: int) -> None:
    assert fit(at_us, rate) == expected


def test_entry_fit_given_no_candle_then_says_so() -> None:
    assert fit(0, 100.0, candles=0) == NO_CANDLE


def test_entry_fit_given_many_entries_then_each_has_its_own_result() -> None:
    at = FIRST_US + np.array([-1, 0, CANDLE_US, CANDLE_US, 5 * CANDLE_US])

    found = entry_fit(CANDLES, open_us=at, open_rate=np.array([100.0, 100.0, 100.0, 200.0, 200.0]), candle_us=CANDLE_US)

    assert found.tolist() == [NO_CANDLE, INSIDE, OUTSIDE, INSIDE, NO_CANDLE]
    assert (NO_CANDLE, INSIDE, OUTSIDE, MOST) == (-1, 0, 1, 0.5)
