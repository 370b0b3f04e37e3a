"""Horizons: what a span is rounded up to, and how the volatility grows with them."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.market.volatility import expected_sigma
from bot3.trading.horizons import Horizon, horizons_of_source


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


@given(
    held=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), max_size=30),
    asked=st.lists(st.integers(0, 800), min_size=1, max_size=10),
)
def test_horizons_of_source_are_the_rounded_quantile_of_the_times_that_had_ended(held: list[tuple[int, int]], asked: list[int]) -> None:
    hour = 3_600_000_000
    opened, closed = (np.array([row[0] + row[1] * place for row in held], dtype=np.int64) * hour for place in (0, 1))

    found = horizons_of_source(np.array(asked, dtype=np.int64) * hour, open_us=opened, close_us=closed)

    for at, name in zip(asked, found, strict=True):
        known = sorted(hours for start, hours in held if start + hours <= at)
        if not known:
            assert name == "24h"
            continue
        quantile = known[math.ceil(0.9 * len(known)) - 1]
        assert Horizon(name) is Horizon.covering(timedelta(hours=quantile))


@pytest.mark.parametrize("context", [{"horizon": "9h"}, {"horizon": 24}, {"horizon": None}])
def test_of_context_given_no_horizon_name_then_raises(context: dict[str, object]) -> None:
    with pytest.raises(InvalidTradeError, match="must be one of 8h, 24h, 3d, 7d"):
        Horizon.of_context(context)


def test_of_context_given_an_entry_of_an_earlier_release_then_is_a_day() -> None:
    assert Horizon.of_context({"sigma": 0.02}) is Horizon.DAY
    assert Horizon.of_context({"horizon": "7d"}) is Horizon.WEEK
