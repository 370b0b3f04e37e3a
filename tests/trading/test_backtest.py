"""One bot over its pairs on past candles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.market.regimes import Regime
from bot3.market.volatility import expected_sigma
from bot3.trading.backtest import BacktestResult, backtest
from bot3.trading.decisions import HoldReason
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.trading.profiles import BotProfile
from bot3.trading.recommendations import FeederTier, Recommendation
from bot3.trading.risk import Breach, RiskLimits, judge_risk, mark_equity
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.sizing import choose_leverage
from bot3.trading.trades import RunMode
from tests.learned import a_recommendation, a_row, a_set
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, a_learned_profile, a_market, a_profile, arrays, candle_frame, random_candles

QUIET = (100.0, 100.1, 99.9, 100.0)


def signal_frame(rows: list[tuple[int, str, str, bool, float]]) -> pd.DataFrame:
    """Return signals of (candle, pair, feeder, is_short, confidence), known at the candle's close."""
    opens = pd.Series([FIRST + row[0] * CANDLE for row in rows], dtype="datetime64[us, UTC]")
    frame = pd.DataFrame(rows, columns=["candle", "pair", "feeder_id", "is_short", "confidence"])
    frame = frame.assign(candle_open_time=opens, known_at=opens + CANDLE, model_digest="d1", horizon="24h").drop(columns="candle")
    return frame.sort_values(["known_at", "pair"], kind="stable", ignore_index=True)


def random_signals(seed: int, *, candles: int, pairs: tuple[str, ...] = (BTC, ETH)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (index, pair, f"F{int(rng.integers(1, 11)):02d}", bool(rng.random() < 0.5), float(rng.uniform(0.5, 0.9)))
        for index in range(candles)
        for pair in pairs
        if rng.random() < 0.3
    ]
    return signal_frame(rows)


def run(signals: pd.DataFrame, candles: dict[str, Any], profile: BotProfile | None = None, **changes: Any) -> BacktestResult:
    inputs: dict[str, Any] = {
        "markets": {pair: a_market(pair) for pair in candles},
        "costs": COSTS,
        "candle": CANDLE,
        "start": FIRST,
        "end": FIRST + timedelta(days=30),
    }
    return backtest(signals, candles, profile or a_profile(), **{**inputs, **changes})


def test_backtest_given_a_signal_then_enters_at_the_next_open_with_slippage_and_tags_the_feeder() -> None:
    candles = {BTC: arrays(candle_frame([QUIET, (100.5, 103.0, 100.4, 102.0), QUIET]), sigma=0.03)}

    (trade,) = run(signal_frame([(0, BTC, "F07", False, 0.6)]), candles).trades

    assert (trade.open_rate, trade.open_date) == (pytest.approx(100.5 * 1.0001), FIRST + CANDLE)
    assert (trade.enter_tag, trade.run_mode, trade.account) == ("F07", RunMode.BACKTEST, "history-BOT1")
    assert trade.close_profit == pytest.approx(0.03, abs=1e-3)


def test_backtest_given_a_volatility_that_moves_then_reads_the_one_known_at_the_signals_close() -> None:
    frame, profile = random_candles(5, candles=400), a_profile(target_volatility=0.4)

    trades = run(random_signals(5, candles=390, pairs=(BTC,)), {BTC: arrays(frame)}, profile).trades

    assert len({trade.leverage for trade in trades}) > 5
    assert [trade.leverage for trade in trades] == [leverage_at(frame, trade.open_date, profile) for trade in trades]


def leverage_at(frame: pd.DataFrame, open_date: datetime, profile: BotProfile) -> float:
    """Return the leverage by the closes that were known when a trade was opened."""
    closes = frame["close"].to_numpy(dtype=np.float64)[: (open_date - FIRST) // CANDLE]
    sigma = float(expected_sigma(closes, horizon_candles=288)[-1])
    spans = DEFAULT_BINS.spans(DEFAULT_BINS.names, highest=profile.leverage_cap)
    return choose_leverage(sigma=sigma, target_volatility=profile.target_volatility, spans=spans)


def test_backtest_given_the_next_candle_is_missing_then_holds() -> None:
    frame = candle_frame([QUIET, QUIET, QUIET, QUIET]).drop(index=1).reset_index(drop=True)

    result = run(signal_frame([(0, BTC, "F01", False, 0.6)]), {BTC: arrays(frame, sigma=0.03)})

    assert result.holds == {HoldReason.NO_RATE: 1}


def test_backtest_given_signals_then_each_is_a_trade_or_a_hold() -> None:
    signals = random_signals(3, candles=400)
    candles = {pair: arrays(random_candles(seed, candles=400), sigma=0.03) for seed, pair in enumerate((BTC, ETH))}

    result = run(signals, candles)

    assert result.signals == len(signals)
    assert len(result.trades) + len(result.state.open_trades) + sum(result.holds.values()) == result.signals
    assert len(result.trades) > 10


def test_backtest_given_a_wallet_then_it_ends_with_what_the_trades_earned() -> None:
    candles = {BTC: arrays(random_candles(5, candles=600), sigma=0.03)}

    result = run(random_signals(5, candles=500, pairs=(BTC,)), candles)

    fees = sum(trade.entry_fee_abs for trade in result.state.open_trades)
    earned = sum(trade.close_profit_abs or 0.0 for trade in result.trades)
    assert result.state.wallet_abs == pytest.approx(10_000.0 + earned - fees)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(1, 399), is_learned=st.booleans())
def test_backtest_given_two_spans_then_equals_one_run_over_both(seed: int, cut: int, is_learned: bool) -> None:
    signals = random_signals(seed, candles=400)
    candles = {pair: arrays(random_candles(seed + index, candles=400), sigma=0.03) for index, pair in enumerate((BTC, ETH))}
    profile = a_learned_profile() if is_learned else a_profile()
    middle, end = FIRST + cut * CANDLE, FIRST + 400 * CANDLE

    whole = run(signals, candles, profile, end=end)
    first = run(signals, candles, profile, end=middle)
    second = run(signals, candles, profile, start=middle, end=end, state=first.state)

    assert first.trades + second.trades == whole.trades
    assert second.state == whole.state
    assert all(trade.close_date is not None and trade.close_date <= middle for trade in first.trades)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(50, 350))
def test_backtest_given_candles_that_end_earlier_then_knows_no_later_trade(seed: int, cut: int) -> None:
    signals, frame = random_signals(seed, candles=400, pairs=(BTC,)), random_candles(seed, candles=400)
    end = FIRST + cut * CANDLE

    known = run(signals, {BTC: arrays(frame.iloc[: cut + 1], sigma=0.03)}, end=end)
    all_of_it = run(signals, {BTC: arrays(frame, sigma=0.03)}, end=end)

    assert known.trades == all_of_it.trades


def test_backtest_given_one_slot_then_never_holds_two() -> None:
    signals = random_signals(11, candles=400)
    candles = {pair: arrays(random_candles(seed, candles=400), sigma=0.03) for seed, pair in enumerate((BTC, ETH))}

    trades = run(signals, candles, a_profile(max_open_trades=1)).trades

    assert all(earlier.close_date is not None and earlier.close_date <= later.open_date for earlier, later in pairwise(trades))


def a_losing_market() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return candles that stop every long at once, and a signal at each."""
    falling = [(100.0, 100.0, 95.0, 100.0)] * 600
    return signal_frame([(index, BTC, "F01", False, 0.6) for index in range(599)]), {BTC: arrays(candle_frame(falling), sigma=0.03)}


def test_backtest_given_a_day_of_losses_then_stops_until_the_next_day_and_counts_it() -> None:
    signals, candles = a_losing_market()

    result = run(signals, candles, a_profile(limits=replace(a_profile().limits, stop_streak=0, cool_off=timedelta(0))))

    days = {trade.open_date.date() for trade in result.trades}
    assert len(days) == 3
    assert result.halts == {HoldReason.DAILY_LOSS: 3}
    assert result.holds[HoldReason.DAILY_LOSS] > 400


def test_backtest_given_a_drawdown_then_rearms_the_next_day() -> None:
    signals, candles = a_losing_market()
    limits = replace(a_profile().limits, stop_streak=0, cool_off=timedelta(0), daily_loss_reducing=-0.5, daily_loss_halted=-0.5)

    result = run(signals, candles, a_profile(limits=limits))

    # The third day is too short to lose so much again.
    assert result.halts == {HoldReason.DRAWDOWN: 2}
    assert len({trade.open_date.date() for trade in result.trades}) == 3


def equity_at(result: BacktestResult, made: dict[str, Any], close: datetime) -> float:
    """Return what the wallet with its open positions was worth at a close, worked out from the trades alone."""
    equity, index = 10_000.0, (close - FIRST) // CANDLE
    for trade in result.trades:
        assert trade.close_date is not None
        if trade.close_date <= close:
            equity += trade.close_profit_abs or 0.0
        elif trade.open_date < close:
            sign, value = -1.0 if trade.is_short else 1.0, trade.amount * trade.open_rate
            equity += sign * trade.amount * (float(made[trade.pair].open[index]) - trade.open_rate) - value * trade.fee_open
    for held in result.state.open_trades:
        if held.open_us < instant_us(close):
            sign = -1.0 if held.plan.is_short else 1.0
            equity += sign * held.amount * (float(made[held.plan.pair].open[index]) - held.open_rate) - held.entry_fee_abs
    return equity


def latches(result: BacktestResult, made: dict[str, Any], limits: RiskLimits, *, closes: int) -> dict[datetime, Breach]:
    """Return the limit that stops entries at each close, by the rule for one close applied to every one."""
    found: dict[datetime, Breach] = {}
    marks, latch, until = None, None, FIRST
    for number in range(closes):
        close = FIRST + number * CANDLE
        if close >= until:
            marks, latch = None if latch is Breach.DRAWDOWN else marks, None
        equity = equity_at(result, made, close)
        marks = mark_equity(marks, equity_abs=equity, now=close)
        breach = judge_risk(marks, equity_abs=equity, limits=limits).breach
        if breach is Breach.DRAWDOWN or (breach is not None and latch is None):
            latch, until = breach, datetime.combine(close.date() + timedelta(days=1), time(), tzinfo=UTC)
        if latch is not None:
            found[close] = latch
    return found


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1_000), loss=st.floats(-0.02, -0.003), drawdown=st.floats(-0.03, -0.004))
@example(seed=21, loss=-0.005, drawdown=-0.01)
def test_backtest_given_limits_then_judges_them_at_every_close_with_or_without_a_signal(seed: int, loss: float, drawdown: float) -> None:
    made = {pair: arrays(random_candles(seed + index, candles=400), sigma=0.02) for index, pair in enumerate((BTC, ETH))}
    limits = replace(a_profile().limits, daily_loss_reducing=loss, daily_loss_halted=loss * 2, max_drawdown=drawdown, stop_streak=0)
    signals = random_signals(seed, candles=380)
    few = signals[signals.index % 4 == 0].reset_index(drop=True)

    result = run(few, made, a_profile(directions=frozenset({"long", "short"}), limits=limits), end=FIRST + 390 * CANDLE)

    latched = latches(result, made, limits, closes=390)
    times = [at.to_pydatetime() for at in few["known_at"]]
    assert {trade.open_date for trade in result.trades}.isdisjoint(latched)
    for breach, reason in ((Breach.DAILY_LOSS, HoldReason.DAILY_LOSS), (Breach.DRAWDOWN, HoldReason.DRAWDOWN)):
        assert result.holds.get(reason, 0) == sum(latched.get(at) is breach for at in times)


def in_force(value: Any) -> Callable[[datetime], Any]:
    return lambda _now: value


def test_backtest_given_what_was_learned_as_of_then_bot3_asks_for_the_time_of_each_close() -> None:
    candles = {BTC: arrays(random_candles(5, candles=400), sigma=0.03)}
    asked: list[datetime] = []
    row = a_row(state=ParameterState.TRADE, lower_bound=0.01, stop_sigma=-0.3, take_profit_sigma=0.6)
    parameters = a_set("p1", row, expires_at=FIRST + timedelta(days=60), regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    recommendation = replace(a_recommendation(), tiers=dict.fromkeys(FEEDER_IDS, FeederTier.TRADE), expires_at=FIRST + timedelta(days=60))

    def parameters_at(now: datetime) -> ParameterSet:
        asked.append(now)
        return parameters

    recommendations_at: Callable[[datetime], Recommendation | None] = in_force(recommendation)
    result = run(
        random_signals(5, candles=300, pairs=(BTC,)),
        candles,
        a_learned_profile(),
        parameters_at=parameters_at,
        recommendations_at=recommendations_at,
    )

    assert len(result.trades) > 5
    assert asked == sorted(asked)
    assert {trade.open_date for trade in result.trades} <= set(asked)
    assert all(1.0 <= trade.leverage <= 3.5 for trade in result.trades)


def test_backtest_given_unsorted_signals_then_refuses() -> None:
    signals = signal_frame([(0, BTC, "F01", False, 0.6), (5, BTC, "F01", False, 0.6)]).iloc[::-1]

    with pytest.raises(InvalidTradeError, match="sort them"):
        run(signals, {BTC: arrays(random_candles(1, candles=20), sigma=0.03)})


def test_backtest_given_a_span_that_starts_before_its_state_ends_then_refuses() -> None:
    signals, made = random_signals(1, candles=20), {BTC: arrays(random_candles(1, candles=30), sigma=0.03)}
    first = run(signals, made, end=FIRST + 10 * CANDLE)

    with pytest.raises(InvalidTradeError, match="cannot follow a state whose limits were checked up to"):
        run(signals, made, start=FIRST + 9 * CANDLE, state=first.state)


def test_backtest_given_a_pair_without_a_market_then_names_it() -> None:
    candles = {BTC: arrays(random_candles(1, candles=20), sigma=0.03)}

    with pytest.raises(InvalidTradeError, match=BTC):
        run(signal_frame([(0, BTC, "F01", False, 0.6)]), candles, markets={})
