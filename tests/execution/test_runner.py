"""The whole daemon against the backtest: the same signals on the same candles make the same trades, holds and latches.

One thing differs by nature: a backtest has nobody who resumes a halted bot, so its latches end with the UTC day, and a halted daemon leaves
at stop and target only. The worlds here last less than a day, and what is open when a bot is halted ends at its stop or target.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from bot3.learning.replay.candle_arrays import candle_arrays
from bot3.market.regimes import Regime
from bot3.market.timeframes import candle_open_time, timeframe_duration
from bot3.trading.backtest import BacktestResult, backtest
from bot3.trading.decisions import HoldReason, Learning
from bot3.trading.exit_rules import ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ParameterState
from bot3.trading.profiles import BotProfile
from bot3.trading.recommendations import FeederTier
from bot3.trading.risk import Breach
from bot3.trading.signals import FEEDER_IDS, Signal
from bot3.trading.trade_classes import class_label
from bot3.trading.trades import DIRECTIONS, ExitReason, Trade
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, ShelfOfLearning, signal_at
from tests.learned import a_recommendation, a_row, a_set
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, LIMITS, a_market, a_profile, funding_frame, random_candles

LENGTH = 150
PROFILE = a_profile(
    directions=frozenset({"long", "short"}),
    max_open_trades=1,
    longest_trade=timedelta(hours=3),
    stop_loss=-0.2,
    take_profit=0.25,
    leverage_cap=10.0,
    # In units of the volatility over 8 h, the horizon that covers three hours.
    target_volatility=0.12 * math.sqrt(8 / 3),
    exit_rules=ExitRules(giveback_activation_sigma=math.sqrt(3 / 8), giveback_share=0.5),
    limits=LIMITS,
)
NOTHING_LEARNED = Learning(parameters=None, recommendation=None)
MEAN_SIGMA = 0.042  # over 8 h
SEED_OF = {Breach.DAILY_LOSS: 30, Breach.DRAWDOWN: 22}
"""Worlds in which a position breaks the limit at a close that made no signal known, and recovers."""
UNLIMITED = replace(LIMITS, daily_loss_reducing=-0.8, daily_loss_halted=-0.9, max_drawdown=-0.9)
FUNDING = funding_frame([FIRST + number * CANDLE for number in (48, 96, 144)], [0.001, -0.0005, 0.0003])


def some_signals(seed: int, *, length: int = LENGTH, horizon: Horizon = Horizon.DAY, timeframe: str = "5m") -> list[Signal]:
    rng = np.random.default_rng(seed)
    return [
        signal_at(
            number,
            pair=pair,
            is_short=bool(rng.random() < 0.5),
            confidence=round(float(rng.uniform(0.5, 0.9)), 6),
            horizon=horizon,
            timeframe=timeframe,
        )
        for number in range(ENTRY_AT, length - 1)
        for pair in (BTC, ETH)
        if rng.random() < 0.15
    ]


def signal_frame(signals: list[Signal]) -> pd.DataFrame:
    names = ("feeder_id", "pair", "is_short", "confidence", "candle_open_time", "known_at", "model_digest", "horizon")
    frame = pd.DataFrame({name: [getattr(signal, name) for signal in signals] for name in names})
    times = {name: frame[name].astype("datetime64[us, UTC]") for name in ("candle_open_time", "known_at")}
    return frame.assign(**times).sort_values(["known_at", "pair"], kind="stable", ignore_index=True)


def backtested(
    frames: dict[str, pd.DataFrame], signals: list[Signal], profile: BotProfile, *, length: int, learning: Learning, timeframe: str
) -> BacktestResult:
    """Return what a backtest makes up to the close that the daemon's last tick is at: the last close but one."""
    candle = timeframe_duration(timeframe)
    made = {pair: candle_arrays(frame, FUNDING, horizon_candles=timedelta(hours=24) // candle) for pair, frame in frames.items()}
    return backtest(
        signal_frame(signals),
        made,
        profile,
        markets={pair: a_market(pair) for pair in frames},
        costs=COSTS,
        candle=candle,
        start=FIRST + (ENTRY_AT - 1) * candle,
        end=FIRST + (length - 1) * candle,
        parameters_at=lambda _: learning.parameters,
        recommendations_at=lambda _: learning.recommendation,
    )


class Lives(NamedTuple):
    """One bot in both worlds: closed trades, the signals of each that were not traded, and what limit stopped entries (None for none)."""

    lived: Sequence[Trade]
    lived_holds: Counter[str]
    lived_latch: str | None
    tested: Sequence[Trade]
    tested_holds: Counter[str]
    tested_latch: str | None


def both(
    open_floor: OpenFloor,
    *,
    seed: int,
    profile: BotProfile,
    restart_every: int = LENGTH,
    length: int = LENGTH,
    learning: Learning = NOTHING_LEARNED,
    horizon: Horizon = Horizon.DAY,
    timeframe: str = "5m",
) -> Lives:
    frames = {pair: random_candles(seed * 2 + index, candles=length) for index, pair in enumerate((BTC, ETH))}
    opens = pd.Series(pd.date_range(FIRST, periods=length, freq=timeframe_duration(timeframe))).astype("datetime64[us, UTC]")
    frames = {pair: frame.assign(open_time=opens) for pair, frame in frames.items()}
    signals = some_signals(seed, length=length, horizon=horizon, timeframe=timeframe)
    floor: Floor = open_floor(
        frames=frames,
        funding=dict.fromkeys(frames, FUNDING),
        signals=ScriptedSignals(*signals),
        profiles=[profile],
        learning=published(learning),
        markets=[a_market(BTC), a_market(ETH)],
        timeframe=timeframe,
    )
    for number in range(ENTRY_AT - 1, length):
        floor.run_candles(number, number)
        if number % restart_every == 0:
            floor.reopen()
    result = backtested(frames, signals, profile, length=length, learning=learning, timeframe=timeframe)
    return Lives(
        floor.stores[profile.name].closed_trades(closed_since=None),
        Counter(_limit_of(reason) for reason in floor.holds(profile.name)),
        next((name for name in ("daily_loss", "drawdown") if name in floor.state(profile.name)[1]), None),
        result.trades,
        Counter(_limit_of(reason.value) for reason in Counter(result.holds).elements()),
        None if result.state.latch is None else result.state.latch.value,
    )


def published(learning: Learning) -> ShelfOfLearning:
    shelf = ShelfOfLearning()
    for noun, value in (("parameters", learning.parameters), ("recommendation", learning.recommendation)):
        if value is not None:
            shelf.publish(noun, value)
    return shelf


def all_bins_learned() -> Learning:
    """Return learning in which every leverage bin trades by levels of its own, in units of the volatility at entry."""
    rows = [
        a_row(
            pair=pair,
            direction=side,
            leverage_bin=class_label(name, Horizon.EIGHT_HOURS),
            state=ParameterState.TRADE,
            lower_bound=0.002,
            stop_sigma=-0.25 - 0.01 * number,
            take_profit_sigma=0.3 + 0.01 * number,
        )
        for number, name in enumerate(DEFAULT_BINS.names)
        for pair in (BTC, ETH)
        for side in DIRECTIONS
    ]
    forever = FIRST + timedelta(days=30)
    return Learning(
        parameters=a_set("p1", *rows, known_at=FIRST, expires_at=forever, regime_factors=dict.fromkeys(Regime, (1.1, 0.9))),
        recommendation=replace(
            a_recommendation(known_at=FIRST),
            tiers=dict.fromkeys(FEEDER_IDS, FeederTier.TRADE),
            open_bins=DEFAULT_BINS.names,
            suggested_leverage_range=(1.0, 10.0),
            expires_at=forever,
        ),
    )


def _limit_of(reason: str) -> str:
    """Name a hold of the daemon's latched states as the backtest does: by a limit on losses."""
    limits = (HoldReason.HALTED, HoldReason.REDUCING, HoldReason.DAILY_LOSS, HoldReason.DRAWDOWN)
    return "limit" if reason in limits else reason


def story(trade: Trade) -> tuple[str, bool, datetime, datetime | None, str | None, Horizon | None]:
    closed = None if trade.close_date is None else candle_open_time(trade.close_date, "5m")
    return trade.pair, trade.is_short, candle_open_time(trade.open_date, "5m"), closed, trade.exit_reason, trade.horizon


def numbers(trade: Trade) -> tuple[float | None, ...]:
    return (
        trade.open_rate,
        trade.close_rate,
        trade.close_profit,
        trade.min_rate,
        trade.max_rate,
        trade.leverage,
        trade.initial_stop_loss_pct,
        trade.stop_loss_pct,
        trade.liquidation_price,
    )


def assert_same(lives: Lives) -> None:
    assert [story(trade) for trade in lives.lived] == [story(trade) for trade in lives.tested]
    for mine, theirs in zip(lives.lived, lives.tested, strict=True):
        # The exchange's rates have 12 digits, its amounts five after the point.
        assert numbers(mine) == pytest.approx(numbers(theirs), rel=1e-8, abs=1e-9)
        assert mine.amount == pytest.approx(theirs.amount, abs=1.01e-5)
        assert mine.funding_fees / mine.amount == pytest.approx(theirs.funding_fees / theirs.amount, rel=1e-8)
    assert (lives.lived_holds, lives.lived_latch) == (lives.tested_holds, lives.tested_latch)


def test_daemon_given_the_signals_of_a_backtest_then_makes_its_trades(open_floor: OpenFloor) -> None:
    lives = both(open_floor, seed=3, profile=PROFILE)

    assert len(lives.tested) >= 3
    assert_same(lives)


@pytest.mark.parametrize(("leverage_bin", "leverage"), [*zip(DEFAULT_BINS.names, (1.45, 2.7, 4.2, 6.2, 8.7), strict=True)])
def test_daemon_given_a_volatility_that_moves_then_trades_as_a_backtest_in_each_leverage_bin(
    open_floor: OpenFloor, leverage_bin: str, leverage: float
) -> None:
    target = MEAN_SIGMA * leverage
    profile = replace(PROFILE, name="BOT3", is_learned=True, longest_trade=timedelta(hours=2), limits=UNLIMITED, target_volatility=target)

    lives = both(open_floor, seed=3, profile=profile, length=60, learning=all_bins_learned())

    bins = [DEFAULT_BINS.name_of(trade.leverage) for trade in lives.tested]
    assert bins.count(leverage_bin) >= 2
    assert len({trade.leverage for trade in lives.tested}) >= 3
    assert_same(lives)


@pytest.mark.parametrize(("horizon", "timeframe", "length"), [("8h", "30m", 60), ("24h", "1h", 70), ("3d", "4h", 70), ("7d", "8h", 70)])
def test_daemon_given_signals_of_a_horizon_then_leaves_at_its_end_as_a_backtest(
    open_floor: OpenFloor, horizon: str, timeframe: str, length: int
) -> None:
    limits = replace(UNLIMITED, cool_off=timedelta(0))
    profile = replace(PROFILE, longest_trade=timedelta(days=7), stop_loss=-0.9, take_profit=0.9, limits=limits, max_open_trades=2)
    profile = replace(profile, exit_rules=ExitRules(giveback_activation_sigma=50.0))

    lives = both(open_floor, seed=3, profile=profile, length=length, horizon=Horizon(horizon), timeframe=timeframe)

    assert lives.tested
    for trade in lives.tested:
        assert (trade.exit_reason, trade.horizon) == ("time_exit", Horizon(horizon))
        assert trade.close_date is not None
        assert trade.close_date - trade.open_date == Horizon(horizon).duration
    assert_same(lives)


@pytest.mark.parametrize(
    ("limit", "profile"),
    [
        (Breach.DAILY_LOSS, replace(PROFILE, limits=replace(UNLIMITED, daily_loss_reducing=-0.004))),
        (
            Breach.DRAWDOWN,
            replace(
                PROFILE,
                # A halted daemon leaves at stop and target only.
                longest_trade=timedelta(hours=24),
                exit_rules=ExitRules(giveback_activation_sigma=50.0),
                stop_loss=-0.15,
                take_profit=0.12,
                target_volatility=0.35,
                limits=replace(UNLIMITED, max_drawdown=-0.006),
            ),
        ),
    ],
)
def test_daemon_given_a_limit_broken_at_a_close_without_a_signal_then_stops_entries_as_a_backtest(
    open_floor: OpenFloor, limit: Breach, profile: BotProfile
) -> None:
    lives = both(open_floor, seed=SEED_OF[limit], profile=replace(profile, max_open_trades=2))

    assert lives.tested_latch == limit
    assert lives.tested_holds["limit"] > 0
    # The loss was made good again: at the closes with a signal alone nobody would have seen it.
    assert sum(trade.close_profit_abs or 0.0 for trade in lives.tested) > 0.0
    assert_same(lives)


def test_daemon_given_a_break_even_stop_and_restarts_then_makes_the_trades_of_a_backtest(open_floor: OpenFloor) -> None:
    rules = ExitRules(giveback_activation_sigma=1.0, break_even_activation_sigma=0.3)
    profile = replace(PROFILE, max_open_trades=2, limits=UNLIMITED, exit_rules=rules)

    lives = both(open_floor, seed=5, profile=profile, restart_every=31)

    ended_at_nothing = [trade for trade in lives.tested if abs(trade.close_profit or 1.0) < 0.002]
    assert {trade.exit_reason for trade in ended_at_nothing} == {ExitReason.STOP_LOSS.value}
    assert {trade.is_short for trade in ended_at_nothing} == {False, True}
    assert_same(lives)


def test_daemon_given_two_positions_and_restarts_then_makes_the_trades_of_a_backtest(open_floor: OpenFloor) -> None:
    lives = both(open_floor, seed=5, profile=replace(PROFILE, max_open_trades=2, limits=UNLIMITED), restart_every=31)

    reasons = {trade.exit_reason for trade in lives.tested}
    assert reasons == {reason.value for reason in (ExitReason.STOP_LOSS, ExitReason.ROI, ExitReason.GIVEBACK, ExitReason.TIME_EXIT)}
    assert any(trade.funding_fees for trade in lives.tested)
    assert_same(lives)
