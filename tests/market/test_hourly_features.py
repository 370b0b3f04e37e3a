"""Hourly features: causal, the same live and in batch, mirrored with the market, and compared across pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.feature_panel import hourly_panel, last_hourly_rows
from bot3.market.columns import CandleColumns
from bot3.market.cross_features import CROSS_NAMES, HOURLY_MIRROR, HOURLY_NAMES, LEAST_RANKED, cross_features
from bot3.market.hourly_features import HOURLY_REACH_HOURS, HOURLY_WARM_UP, HOURLY_WINDOW, OWN_NAMES, own_hourly_features
from tests.market.hourly_walks import FIRST_US, HOUR_US, funding_walk, hourly_walk

COUNT = HOURLY_WINDOW + 60


def mirrored(candles: CandleColumns) -> CandleColumns:
    """Return the candles of the inverse prices: every move of the log price has the other sign."""
    return CandleColumns(
        open_us=candles.open_us,
        open=1.0 / candles.open,
        high=1.0 / candles.low,
        low=1.0 / candles.high,
        close=1.0 / candles.close,
        volume=candles.volume,
    )


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 900), factor=st.floats(0.3, 3.0), rate=st.floats(-0.01, 0.01))
def test_hourly_features_given_another_future_then_stay_the_same(seed: int, cut: int, factor: float, rate: float) -> None:
    at = HOURLY_WARM_UP + cut
    pairs = {f"{name}/USDT:USDT": hourly_walk(COUNT, seed=seed + i) for i, name in enumerate(("BTC", "A", "B"))}
    funding = {pair: funding_walk(COUNT, seed=seed) for pair in pairs}
    later = {pair: hourly_walk(COUNT, seed=seed + i, other_from=at, factor=factor) for i, pair in enumerate(pairs)}
    times, rates = funding["A/USDT:USDT"]
    other_rates = np.where(times >= (at + 1) * HOUR_US + times[0] - times[0] % HOUR_US, rate, rates)

    before = hourly_panel(pairs, funding)
    after = hourly_panel(later, dict.fromkeys(pairs, (times, other_rates)))

    for one, other in zip(before.pairs, after.pairs, strict=True):
        assert np.array_equal(one.features[:at], other.features[:at], equal_nan=True)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), extra=st.integers(0, 500), count=st.integers(1, LEAST_RANKED + 1), gap=st.integers(0, 60))
def test_last_rows_given_just_their_reach_then_equal_the_batch_bit_for_bit(seed: int, extra: int, count: int, gap: int) -> None:
    pairs = {f"P{i}/USDT:USDT": hourly_walk(HOURLY_WINDOW + extra + gap, seed=seed + i, gap=gap) for i in range(count)}
    funding = {pair: funding_walk(HOURLY_WINDOW + extra + gap, seed=seed) for pair in pairs}

    batch = np.vstack([pair.features[-1:] for pair in hourly_panel(pairs, funding).pairs])
    oldest = FIRST_US + (HOURLY_WINDOW + extra + gap - HOURLY_REACH_HOURS) * HOUR_US
    read = {pair: columns.since(int(np.searchsorted(columns.open_us, oldest))) for pair, columns in pairs.items()}
    live = last_hourly_rows(read, funding)

    assert np.array_equal(live, batch, equal_nan=True)
    assert np.isnan(live[:, HOURLY_NAMES.index("trend_56d")]).any() == (gap > HOURLY_REACH_HOURS - HOURLY_WINDOW)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_mirror_given_features_then_equals_those_of_the_mirrored_market(seed: int) -> None:
    pairs = {f"P{i}/USDT:USDT": hourly_walk(COUNT, seed=seed + i) for i in range(LEAST_RANKED)}
    funding = {pair: funding_walk(COUNT, seed=seed) for pair in pairs}
    opposite = {pair: (times, -rates) for pair, (times, rates) in funding.items()}

    features = np.vstack([pair.features for pair in hourly_panel(pairs, funding).pairs])
    found = np.vstack([pair.features for pair in hourly_panel({p: mirrored(c) for p, c in pairs.items()}, opposite).pairs])

    np.testing.assert_allclose(HOURLY_MIRROR.apply(features), found, rtol=1e-4, atol=2e-5)
    np.testing.assert_array_equal(HOURLY_MIRROR.apply(HOURLY_MIRROR.apply(features)), features)


def test_own_features_given_a_steady_rise_then_are_as_worked_out_by_hand() -> None:
    count = HOURLY_WINDOW
    close = np.exp(0.001 * np.arange(count))
    candles = CandleColumns(
        open_us=np.arange(count) * HOUR_US,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.where(np.arange(count) < count - 24, 1.0, 3.0),
    )
    last = own_hourly_features(candles, (np.array([(count - 30) * HOUR_US, (count - 2) * HOUR_US]), np.array([0.0002, 0.0001])))[-1]
    value = dict(zip(OWN_NAMES, last.tolist(), strict=True))

    assert value["daily_sigma"] == pytest.approx(0.001 * np.sqrt(24.0))
    assert value["trend_28d"] == pytest.approx(np.sqrt(672.0))
    assert value["above_high_20d"] == pytest.approx(1.0 / np.sqrt(24.0))
    assert value["below_low_10d"] == pytest.approx(-240.0 / np.sqrt(24.0))
    assert value["volume_24h"] == pytest.approx(np.log(3.0 / ((456.0 + 24.0 * 3.0) / 480.0) + 0.01))
    assert (value["funding_1d"], value["funding_7d"]) == pytest.approx((1.0, 3.0 / 7.0))
    assert value["hour_of_day"] == count % 24


def test_own_features_given_the_warm_up_then_are_nan_and_longer_windows_follow() -> None:
    features = own_hourly_features(hourly_walk(COUNT, seed=1), funding_walk(COUNT, seed=1))

    assert np.isnan(features[:HOURLY_WARM_UP]).all()
    assert not np.isnan(features[HOURLY_WARM_UP:, OWN_NAMES.index("trend_28d")]).any()
    assert np.flatnonzero(~np.isnan(features[:, OWN_NAMES.index("trend_56d")]))[0] == HOURLY_WINDOW - 1
    assert np.flatnonzero(~np.isnan(features[:, OWN_NAMES.index("above_high_40d")]))[0] == 960


def test_own_features_given_a_market_that_stands_still_then_are_nan() -> None:
    still = np.ones(COUNT)
    candles = CandleColumns(open_us=np.arange(COUNT) * HOUR_US, open=still, high=still, low=still, close=still, volume=still)

    assert np.isnan(own_hourly_features(candles, funding_walk(COUNT, seed=1))).all()


@pytest.mark.parametrize("count", [LEAST_RANKED - 1, LEAST_RANKED])
def test_cross_features_given_pairs_then_rank_only_enough_of_them(count: int) -> None:
    own = np.zeros((1, count + 1, len(OWN_NAMES)), dtype=np.float32)
    own[0, :, OWN_NAMES.index("trend_7d")] = np.arange(count + 1)
    own[0, count] = np.nan  # a pair without a row
    pairs = [f"P{i}/USDT:USDT" for i in range(count + 1)]

    made = cross_features(own, pairs)[0]

    ranks = made[:, CROSS_NAMES.index("rank_trend_7d")]
    if count < LEAST_RANKED:
        assert np.isnan(ranks).all()
    else:
        np.testing.assert_allclose(ranks[:-1], (np.arange(count) + 0.5) / count - 0.5)
    assert np.isnan(made[-1]).all()
    assert np.isnan(made[:, CROSS_NAMES.index("bitcoin_7d")]).all()
    np.testing.assert_allclose(made[:-1, CROSS_NAMES.index("market_7d")], (count - 1) / 2.0)
