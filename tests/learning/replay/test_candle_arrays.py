"""Candles and funding as arrays."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from bot3.learning.replay.candle_arrays import WARM_UP_CANDLES, candle_arrays
from bot3.market.candle_series import no_candles, no_funding
from bot3.market.instants import instant_us
from bot3.market.volatility import expected_sigma
from tests.markets import CANDLE, FIRST, candle_frame, funding_frame, random_candles


def test_candle_arrays_given_funding_then_sums_it_up_to_the_open_of_each_candle() -> None:
    frame = candle_frame([(1.0, 4.0, 0.5, 2.0), (2.0, 5.0, 1.5, 3.0), (3.0, 6.0, 2.5, 4.0)])
    times = [FIRST - CANDLE, FIRST + CANDLE, FIRST + CANDLE + timedelta(seconds=1)]

    made = candle_arrays(frame, funding_frame(times, [0.01, 0.02, 0.04]), horizon_candles=4)

    assert len(made) == 3
    assert made.open_us.tolist() == [instant_us(FIRST + place * CANDLE) for place in range(3)]
    assert (made.open.tolist(), made.high.tolist()) == ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert (made.low.tolist(), made.close.tolist()) == ([0.5, 1.5, 2.5], [2.0, 3.0, 4.0])
    assert made.funding_sum.tolist() == pytest.approx([0.01, 0.03, 0.07])
    assert made.funding_us.tolist() == [instant_us(at) for at in times]


def test_candle_arrays_given_no_rate_then_funding_is_zero_and_sigma_that_of_the_closes() -> None:
    frame = random_candles(1, candles=40)

    made = candle_arrays(frame, no_funding(), horizon_candles=9)

    assert made.funding_sum.tolist() == [0.0] * 40
    np.testing.assert_array_equal(made.sigma, expected_sigma(frame["close"].to_numpy(), horizon_candles=9))
    assert np.isfinite(made.sigma[12:]).all()


def test_candle_arrays_given_no_candle_then_are_empty() -> None:
    assert len(candle_arrays(no_candles(), no_funding(), horizon_candles=9)) == 0
    assert WARM_UP_CANDLES == 288
