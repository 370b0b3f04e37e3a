"""Every feeder traded all the time, without a wallet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.market.volatility import expected_sigma
from bot3.trading.backtest import backtest
from bot3.trading.exit_rules import ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.profiles import BotProfile
from bot3.trading.shadow_trades import SHADOW_COLUMNS, shadow_trades
from bot3.trading.sizing import choose_leverage
from bot3.trading.trades import RunMode
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, a_learned_profile, a_market, a_profile, arrays, random_candles

END = FIRST + 400 * CANDLE


def signals_of(seed: int, *, feeder_id: str = "F01", pairs: tuple[str, ...] = (BTC, ETH)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(pair, index) for index in range(390) for pair in pairs if rng.random() < 0.4]
    opens = pd.Series([FIRST + index * CANDLE for _, index in rows], dtype="datetime64[us, UTC]")
    columns = {"feeder_id": feeder_id, "pair": [pair for pair, _ in rows], "is_short": rng.random(len(rows)) < 0.5}
    times = {"candle_open_time": opens, "known_at": opens + CANDLE, "model_digest": "d1", "horizon": "24h"}
    return pd.DataFrame({**columns, "confidence": rng.uniform(0.5, 0.9, len(rows)), **times})


PROFILE = a_profile()


def shadow(signals: pd.DataFrame, seed: int, *, end: datetime = END, profile: BotProfile = PROFILE, **changes: Any) -> pd.DataFrame:
    candles = {pair: arrays(random_candles(seed + index, candles=400), sigma=0.03) for index, pair in enumerate((BTC, ETH))}
    markets = {pair: a_market(pair) for pair in candles}
    return shadow_trades(
        signals, candles, profile, markets=markets, costs=COSTS, candle=CANDLE, end=end, run_mode=RunMode.BACKTEST, **changes
    )


def test_shadow_trades_given_signals_then_has_the_columns_and_never_overlaps_on_a_pair() -> None:
    trades = shadow(signals_of(1), 1)

    assert tuple(trades.columns) == SHADOW_COLUMNS
    assert len(trades) > 20
    for _, own in trades.groupby("pair"):
        assert bool((own["open_date"].iloc[1:].to_numpy() >= own["close_date"].iloc[:-1].to_numpy()).all())


def test_shadow_trades_given_a_break_even_stop_then_some_end_at_about_nothing_and_count_as_wins() -> None:
    profile = replace(PROFILE, exit_rules=ExitRules(break_even_activation_sigma=0.1))

    trades = shadow(signals_of(1), 1, profile=profile)

    # The rate of the stop is rounded to the market's tick away from the entry, as in a bot's orders.
    ended = trades[trades["close_profit"].abs() < 1e-6]
    assert set(ended["exit_reason"]) == {"stop_loss"}
    assert set(ended["is_short"]) == {False, True}
    assert bool((ended["close_profit"] > 0.0).all())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(10, 390))
def test_shadow_trades_given_two_spans_then_equals_one_over_both(seed: int, cut: int) -> None:
    signals, middle = signals_of(seed), FIRST + cut * CANDLE

    whole = shadow(signals, seed)
    first = shadow(signals, seed, end=middle)
    closes = {str(pair): at for pair, at in first.groupby("pair")["close_date"].max().items()}
    second = shadow(signals, seed, last_closes=closes)

    both = pd.concat([first, second]).sort_values(["pair", "open_date"], ignore_index=True)
    pd.testing.assert_frame_equal(both, whole, check_dtype=False)
    assert bool((first["close_date"] <= middle).all())


def test_shadow_trades_given_one_pair_then_earn_what_a_bot_without_limits_earns() -> None:
    signals = signals_of(4, pairs=(BTC,))
    limits = a_profile().limits
    free: dict[str, Any] = {
        "stop_streak": 0,
        "cool_off": timedelta(0),
        "daily_loss_reducing": -0.98,
        "daily_loss_halted": -0.99,
        "max_drawdown": -0.99,
    }
    profile = a_learned_profile(name="BOT1", is_learned=False, limits=replace(limits, **free))
    candles = {BTC: arrays(random_candles(4, candles=400), sigma=0.03)}

    trades = backtest(signals, candles, profile, markets={BTC: a_market()}, costs=COSTS, candle=CANDLE, start=FIRST, end=END).trades
    shadows = shadow(signals, 4)

    assert [trade.open_date for trade in trades] == list(shadows["open_date"])
    # A bot's stop and target stand on ticks, a shadow's do not.
    assert [trade.close_profit for trade in trades] == pytest.approx(list(shadows["close_profit"]), abs=1e-6)


@pytest.mark.parametrize("horizon", ["8h", "24h"])
def test_shadow_trades_given_signals_of_a_horizon_then_leave_at_its_end_with_the_volatility_over_it(horizon: str) -> None:
    never = a_profile(stop_loss=-0.9, take_profit=0.9, leverage_cap=1.0, exit_rules=ExitRules(giveback_activation_sigma=99.0))

    own, day = (shadow(signals_of(1).assign(horizon=name), 1, profile=never) for name in (horizon, "24h"))

    assert set(own["exit_reason"]) == {"time_exit"}
    assert set(own["close_date"] - own["open_date"]) == {pd.Timedelta(Horizon(horizon).duration)}
    first, first_of_day = (trades.groupby("pair")["sigma"].first() for trades in (own, day))
    assert list(first / first_of_day) == pytest.approx([Horizon(horizon).sigma_factor] * 2)


def test_shadow_trades_given_a_volatility_that_moves_then_reads_the_one_known_at_the_signals_close() -> None:
    frame, profile, end = random_candles(4, candles=400), a_profile(target_volatility=0.4), FIRST + 390 * CANDLE

    trades = shadow_trades(
        signals_of(4, pairs=(BTC,)),
        {BTC: arrays(frame)},
        profile,
        markets={BTC: a_market()},
        costs=COSTS,
        candle=CANDLE,
        end=end,
        run_mode=RunMode.BACKTEST,
    )

    closes = frame["close"].to_numpy(dtype=np.float64)
    known = [expected_sigma(closes[: (at.to_pydatetime() - FIRST) // CANDLE], horizon_candles=288)[-1] for at in trades["open_date"]]
    spans = DEFAULT_BINS.spans(DEFAULT_BINS.names, highest=profile.leverage_cap)
    assert trades["leverage"].nunique() > 5
    assert trades["sigma"].tolist() == pytest.approx(known)
    assert trades["leverage"].tolist() == [choose_leverage(sigma=one, target_volatility=0.4, spans=spans) for one in known]
    assert trades["close_move"].tolist() == pytest.approx((trades["close_profit"] / trades["leverage"]).tolist())


def test_shadow_trades_given_no_signals_then_returns_an_empty_frame_of_the_same_columns() -> None:
    trades = shadow(signals_of(1).iloc[:0], 1)

    assert trades.empty
    assert str(trades["known_at"].dtype) == "datetime64[us, UTC]"


def test_shadow_trades_given_two_feeders_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="one feeder at a time"):
        shadow(pd.concat([signals_of(1), signals_of(2, feeder_id="F02")]), 1)
