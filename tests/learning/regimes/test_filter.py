from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import CandleError
from bot3.learning.regimes.filter import RegimeSettings, filter_regimes, hourly_index, regime_states
from bot3.market.regimes import Regime
from tests.learning.worlds import NOW, candle_frame


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(80, 290))
def test_filter_given_another_future_then_the_past_is_the_same(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    one = np.cumsum(rng.normal(0.0, 0.01, 300))
    other = np.concatenate([one[:cut], one[cut - 1] + np.cumsum(rng.normal(0.0, 0.05, 300 - cut))])

    first, second = (filter_regimes(path, settings=RegimeSettings()) for path in (one, other))

    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left[:cut], right[:cut])


def test_hourly_index_given_an_hour_in_progress_then_leaves_it_out() -> None:
    whole = candle_frame(seed=1, n=12 * 10)

    index = hourly_index({"A": candle_frame(seed=1, n=12 * 10 - 1)})

    assert len(index) == 9
    pd.testing.assert_series_equal(index, hourly_index({"A": whole}).iloc[:9], check_freq=False)


@pytest.mark.parametrize(("drift", "regime"), [(0.002, Regime.BULL_TRENDING), (-0.002, Regime.BEAR_TRENDING), (0.0, Regime.SIDEWAYS)])
def test_filter_given_a_planted_trend_then_finds_it(drift: float, regime: Regime) -> None:
    returns = np.random.default_rng(3).normal(0.0, 0.004, 24 * 40)
    path = np.cumsum(returns - returns.mean() + drift)

    _, chosen, _ = filter_regimes(path, settings=RegimeSettings())

    assert (np.array(list(Regime))[chosen[-24 * 20 :]] == regime).mean() > 0.6


def test_filter_given_a_burst_of_volatility_then_calls_it_volatile() -> None:
    rng = np.random.default_rng(4)
    calm, wild = rng.normal(0.0, 0.003, 24 * 40), rng.normal(0.0, 0.02, 72)

    _, chosen, _ = filter_regimes(np.cumsum(np.concatenate([calm, wild])), settings=RegimeSettings())

    assert list(Regime)[chosen[-1]] is Regime.VOLATILE


def test_regime_states_carry_probabilities_and_the_hour_they_were_known() -> None:
    states = regime_states(hourly_index({"A": candle_frame(seed=1)}), computed_at=NOW)

    assert all(sum(state.probabilities) == pytest.approx(1.0) for state in states)
    assert all(state.since <= state.known_at for state in states)
    assert states[-1].known_at == NOW


def test_hourly_index_given_no_candles_then_says_so() -> None:
    with pytest.raises(CandleError, match="no pair has candles"):
        hourly_index({"A": candle_frame(seed=1, n=1)})
