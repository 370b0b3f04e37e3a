from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.market.columns import candle_columns
from bot3.market.features import (
    FEATURE_FAMILIES,
    FEATURE_MIRROR,
    FEATURE_NAMES,
    FEATURE_WARM_UP_CANDLES,
    feature_matrix,
    last_features,
)
from tests.market.random_walks import random_walk

WARM_UP = FEATURE_WARM_UP_CANDLES
COUNT = WARM_UP + 400


def features_of(candles: pd.DataFrame) -> np.ndarray:
    return feature_matrix(candle_columns(candles))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.array_equal(left, right, equal_nan=True))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 399))
def test_features_of_the_first_candles_equal_the_first_features_of_all(seed: int, cut: int) -> None:
    candles = random_walk(COUNT, seed=seed)
    whole = features_of(candles)

    first = features_of(candles.iloc[: WARM_UP + cut])

    assert same(first, whole[: WARM_UP + cut])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 399), factor=st.floats(0.2, 5.0))
def test_features_given_another_future_then_stay_the_same(seed: int, cut: int, factor: float) -> None:
    candles = random_walk(COUNT, seed=seed)
    other = candles.copy()
    at = WARM_UP + cut
    other.loc[other.index >= at, ["open", "high", "low", "close", "volume"]] *= factor

    assert same(features_of(other)[:at], features_of(candles)[:at])


def test_feature_matrix_given_candles_then_only_the_warm_up_is_nan() -> None:
    features = features_of(random_walk(COUNT, seed=1))

    assert (features.shape, features.dtype) == ((COUNT, len(FEATURE_NAMES)), np.dtype("float32"))
    assert np.isnan(features[:WARM_UP]).all()
    assert np.isfinite(features[WARM_UP:]).mean() > 0.999


def test_feature_families_given_the_matrix_then_name_every_column_once() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == feature_matrix(candle_columns(random_walk(COUNT, seed=1))).shape[1]
    assert {family: len(names) >= 8 for family, names in FEATURE_FAMILIES.items()} == dict.fromkeys(
        ("volatility", "volume", "momentum"), True
    )


def test_feature_matrix_given_too_few_candles_then_all_are_nan() -> None:
    assert np.isnan(features_of(random_walk(WARM_UP, seed=1))).all()
    assert np.isnan(last_features(candle_columns(random_walk(WARM_UP, seed=1)))).all()


@pytest.mark.parametrize("factor", [1e-7, 0.37, 3e4])
def test_features_given_another_price_scale_then_stay_the_same(factor: float) -> None:
    candles = random_walk(COUNT, seed=2)
    scaled = candles.assign(
        **{name: candles[name] * factor for name in ("open", "high", "low", "close")}, volume=candles["volume"] / factor
    )

    difference = np.abs(features_of(scaled) - features_of(candles))

    assert np.nanmax(difference) < 1e-4


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), before=st.integers(0, 3000))
def test_last_features_given_a_window_then_equal_the_long_history(seed: int, before: int) -> None:
    candles = random_walk(before + WARM_UP + 1, seed=seed)

    live = last_features(candle_columns(candles.iloc[before:]))

    np.testing.assert_allclose(live, feature_matrix(candle_columns(candles))[-1], rtol=1e-5, atol=1e-5)


def test_features_given_a_market_that_stands_still_then_are_never_infinite() -> None:
    candles = random_walk(COUNT + 1_000, seed=3)
    still = candles.index >= 1_000
    rate = float(candles["close"].iloc[999])
    candles.loc[still, ["open", "high", "low", "close"]] = rate
    candles.loc[still, "volume"] = 0.0

    features = features_of(candles)

    assert not np.isinf(features).any()
    assert np.nanmax(np.abs(features)) < 1e3


def test_features_given_a_gap_then_step_over_it() -> None:
    candles = random_walk(COUNT, seed=4)
    holed = candles.drop(index=range(WARM_UP + 50, WARM_UP + 80))

    features = features_of(holed.reset_index(drop=True))

    assert len(features) == len(holed)
    assert same(features[: WARM_UP + 50], features_of(candles)[: WARM_UP + 50])


def test_time_of_day_given_midnight_then_is_zero_and_one() -> None:
    candles = random_walk(COUNT, seed=5)
    midnight = features_of(candles)[candles["open_time"] == pd.Timestamp("2025-01-11", tz="UTC")][0]

    assert [midnight[FEATURE_NAMES.index(name)] for name in ("day_sine", "day_cosine")] == [0.0, 1.0]


def test_mirror_given_features_then_nearly_equals_those_of_the_mirrored_market() -> None:
    candles = random_walk(COUNT, seed=6)
    candles["volume"] = candles["volume"].clip(lower=1.0)
    mirrored = candles.assign(
        open=1.0 / candles["open"], high=1.0 / candles["low"], low=1.0 / candles["high"], close=1.0 / candles["close"]
    )

    made = FEATURE_MIRROR.apply(features_of(candles)[WARM_UP:])
    found = features_of(mirrored)[WARM_UP:]

    # Distances in prices are mirrored to the first order only, and a candle without a move is no rise on either side.
    for index, name in enumerate(FEATURE_NAMES):
        assert np.abs(made[:, index] - found[:, index]).max() < 0.06 * max(1.0, float(np.abs(found[:, index]).max())), name
