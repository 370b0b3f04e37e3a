from __future__ import annotations

import numpy as np

from bot3.market.volatility import expected_sigma
from tests.market.random_walks import random_walk


def test_expected_sigma_given_another_future_then_stays_the_same() -> None:
    close = random_walk(900, seed=1)["close"].to_numpy()

    assert np.array_equal(expected_sigma(close[:500], horizon_candles=12), expected_sigma(close, horizon_candles=12)[:500], equal_nan=True)


def test_expected_sigma_given_a_longer_horizon_then_grows_with_its_root() -> None:
    close = random_walk(900, seed=1)["close"].to_numpy()

    np.testing.assert_allclose(expected_sigma(close, horizon_candles=48)[20:], 2.0 * expected_sigma(close, horizon_candles=12)[20:])
