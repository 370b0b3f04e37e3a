from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import CandleError, SettingsError
from bot3.market.candles import checked_candles
from bot3.market.volatility import expected_sigma
from bot3.trading.leverage_bins import DEFAULT_BINS
from tests.adapters.simulated.truth import SimulatedTruth

START = datetime(2025, 1, 6, tzinfo=UTC)
END = START + timedelta(days=160)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(1, starts_at=START, ends_at=END)


@pytest.fixture(scope="module")
def truth() -> SimulatedTruth:
    return SimulatedTruth(1, starts_at=START, ends_at=END)


def all_candles(market: SimulatedMarket, pair: str) -> pd.DataFrame:
    return market.candles(pair, "5m", start=START, end=END)


def test_market_given_another_end_or_order_of_questions_then_the_same_candles(market: SimulatedMarket) -> None:
    longer = SimulatedMarket(1, starts_at=START, ends_at=END + timedelta(days=300))
    pieces = [
        longer.candles("ECHO/USDT:USDT", "5m", start=START + timedelta(days=day), end=START + timedelta(days=day + 4)) for day in (4, 0)
    ]

    found = pd.concat(pieces[::-1], ignore_index=True)

    pd.testing.assert_frame_equal(found, market.candles("ECHO/USDT:USDT", "5m", start=START, end=START + timedelta(days=8)))


def test_market_given_another_seed_then_other_candles(market: SimulatedMarket) -> None:
    other = SimulatedMarket(2, starts_at=START, ends_at=END)

    assert not all_candles(other, "ALFA/USDT:USDT")["close"].equals(all_candles(market, "ALFA/USDT:USDT")["close"])


def test_candles_given_every_pair_then_all_are_lawful(market: SimulatedMarket) -> None:
    for pair in market.pairs():
        candles = all_candles(market, pair)
        same, report = checked_candles(candles, pair=pair, timeframe="5m", now=END)
        pd.testing.assert_frame_equal(same, candles)
        assert 0 < report.missing_candles < 0.005 * len(candles)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_leverage_rule_on_the_market_reaches_all_five_bins(seed: int) -> None:
    market = SimulatedMarket(seed, starts_at=START, ends_at=END)
    counts = dict.fromkeys(DEFAULT_BINS.names, 0)
    for pair in market.pairs():
        sigma = expected_sigma(all_candles(market, pair)["close"].to_numpy(), horizon_candles=288)[2_000::12]
        for value in np.clip(0.12 / sigma, 1.0, 10.0):
            counts[DEFAULT_BINS.name_of(float(value))] += 1

    assert min(counts.values()) > 0.02 * sum(counts.values())


def test_prices_on_the_market_look_like_prices(market: SimulatedMarket) -> None:
    candles = all_candles(market, "DELTA/USDT:USDT")
    returns = np.log(candles["close"]).diff().dropna()
    volume = np.log1p(candles["volume"].to_numpy())[1:]

    assert returns.kurt() > 4.0
    assert np.corrcoef(volume, returns.abs())[0, 1] > 0.3
    assert returns.abs().autocorr(288) > 0.04
    assert 0.2 < (candles["open"] != candles["close"].shift()).mean() < 0.9
    assert 1.5 < np.log(candles["high"] / candles["low"]).mean() / returns.abs().mean() < 2.5


def test_pairs_on_the_market_move_together(market: SimulatedMarket) -> None:
    closes = [all_candles(market, pair).set_index("open_time")["close"] for pair in market.pairs()]
    returns = np.log(pd.concat(closes, axis=1, join="inner")).diff().dropna()
    correlation = returns.corr().to_numpy()

    assert correlation[np.triu_indices(8, 1)].min() > 0.2


def test_rates_on_the_market_stand_on_the_tick(market: SimulatedMarket) -> None:
    for pair in market.pairs():
        tick = float(market.market(pair).rate_tick)
        ticks = all_candles(market, pair)[["open", "high", "low", "close"]].to_numpy() / tick
        assert np.allclose(ticks, np.round(ticks), atol=1e-3)


def test_funding_follows_the_regime(market: SimulatedMarket, truth: SimulatedTruth) -> None:
    funding = market.funding("ALFA/USDT:USDT", start=START, end=END).set_index("time")["funding_rate"]
    regimes = truth.regimes().set_index("open_time")["regime"].reindex(funding.index)
    by_regime = funding.groupby(regimes.to_numpy()).mean()

    assert by_regime["bull_trending"] > by_regime["sideways"] > by_regime["bear_trending"]


def test_edge_planted_in_the_market_is_small_and_there(market: SimulatedMarket, truth: SimulatedTruth) -> None:
    found = []
    for pair in market.pairs():
        closes = all_candles(market, pair).set_index("open_time")["close"]
        returns = np.log(closes).diff().dropna()
        expected = truth.expected(pair).set_index("open_time")["expected_move"].reindex(returns.index)
        found.append(np.corrcoef(expected, returns)[0, 1])

    assert 0.03 < np.mean(found) < 0.15


def test_truth_visits_every_regime(truth: SimulatedTruth) -> None:
    assert set(truth.regimes()["regime"]) == {"bull_trending", "bear_trending", "sideways", "volatile"}


def test_market_filters_are_the_exchange_s_own(market: SimulatedMarket) -> None:
    filters = market.market("ALFA/USDT:USDT")

    assert (str(filters.rate_tick), str(filters.amount_step), str(filters.min_notional_abs)) == ("0.1", "0.001", "5")
    assert (filters.taker_fee, filters.maker_fee, filters.is_declared) == (0.0005, 0.0002, False)
    assert filters.bracket(100.0).max_leverage >= 10.0


def test_market_given_an_unknown_pair_then_a_candle_error(market: SimulatedMarket) -> None:
    with pytest.raises(CandleError, match="has no BTC/USDT:USDT"):
        market.market("BTC/USDT:USDT")


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "pairs", "timeframe"),
    [
        (START, START, 8, "5m"),
        (START.replace(tzinfo=None), END, 8, "5m"),
        (START + timedelta(minutes=5), END, 8, "5m"),
        (START, END, 0, "5m"),
        (START, END, 13, "5m"),
        (START, END, 8, "7m"),
    ],
)
def test_market_given_what_cannot_be_then_a_settings_error(starts_at: datetime, ends_at: datetime, pairs: int, timeframe: str) -> None:
    with pytest.raises(SettingsError):
        SimulatedMarket(1, starts_at=starts_at, ends_at=ends_at, pairs=pairs, timeframe=timeframe)


def test_market_given_a_seed_below_zero_then_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="seed"):
        SimulatedMarket(-1, starts_at=START, ends_at=END)


def test_market_given_hourly_candles_then_its_days_are_as_restless() -> None:
    deviations = []
    for timeframe, step in (("5m", 288), ("1h", 24)):
        market = SimulatedMarket(4, starts_at=START, ends_at=END, pairs=1, timeframe=timeframe)
        closes = market.candles("ALFA/USDT:USDT", timeframe, start=START, end=END)["close"]
        deviations.append(np.log(closes).diff().std() * np.sqrt(step))

    assert 0.5 < deviations[0] / deviations[1] < 2.0
