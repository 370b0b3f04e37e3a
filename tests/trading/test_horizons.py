"""Horizons: what a span is rounded up to, and how the volatility grows with them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from bot3.market.volatility import expected_sigma
from bot3.trading.horizons import Horizon


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, "8h"), (8, "8h"), (8.01, "24h"), (24, "24h"), (25, "3d"), (72, "3d"), (72.01, "7d"), (168, "7d"), (1_000, "7d")],
)
def test_covering_given_a_span_then_is_the_shortest_horizon_that_is_not_shorter(hours: float, expected: str) -> None:
    assert Horizon.covering(timedelta(hours=hours)) is Horizon(expected)


def test_horizons_given_their_order_then_each_is_longer_than_the_one_before() -> None:
    durations = [horizon.duration for horizon in Horizon]

    assert durations == sorted(set(durations))


@pytest.mark.parametrize("horizon", Horizon)
def test_sigma_factor_given_a_horizon_then_turns_the_volatility_of_a_day_into_that_over_the_horizon(horizon: Horizon) -> None:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.002, 400)))
    candle = timedelta(minutes=5)

    day = expected_sigma(close, horizon_candles=Horizon.DAY.duration // candle)[-1]
    own = expected_sigma(close, horizon_candles=horizon.duration // candle)[-1]

    assert day * horizon.sigma_factor == pytest.approx(own, rel=1e-12)
