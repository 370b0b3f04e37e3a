"""The whole daemon against the backtest: the same signals on the same candles make the same trades.

Two things differ by nature. The daemon sizes by the equity at the rates of now, a backtest by that of the newest closes: with more than
one position the amounts differ a little, what a trade earns on its stake does not. And the daemon looks at its limits on losses at every
close, a backtest only at those that could trade: where two positions are held the limits here are out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from bot3.learning.candle_arrays import candle_arrays
from bot3.market.timeframes import candle_open_time
from bot3.trading.backtest import backtest
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import Signal
from bot3.trading.trades import ExitReason, Trade
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, LIMITS, a_market, a_profile, funding_frame, random_candles

LENGTH = 150
PROFILE = a_profile(
    directions=frozenset({"long", "short"}),
    max_open_trades=1,
    horizon=timedelta(hours=3),
    stop_loss=-0.2,
    take_profit=0.25,
    leverage_cap=5.0,
    target_volatility=0.5,
    limits=LIMITS,
)
UNLIMITED = replace(LIMITS, daily_loss_reducing=-0.8, daily_loss_halted=-0.9, max_drawdown=-0.9)
FUNDING = funding_frame([FIRST + number * CANDLE for number in (48, 96, 144)], [0.001, -0.0005, 0.0003])


def some_signals(seed: int) -> list[Signal]:
    rng = np.random.default_rng(seed)
    return [
        signal_at(number, pair=pair, is_short=bool(rng.random() < 0.5), confidence=round(float(rng.uniform(0.5, 0.9)), 6))
        for number in range(ENTRY_AT, LENGTH - 1)
        for pair in (BTC, ETH)
        if rng.random() < 0.15
    ]


def signal_frame(signals: list[Signal]) -> pd.DataFrame:
    names = ("feeder_id", "pair", "is_short", "confidence", "candle_open_time", "known_at", "model_digest")
    frame = pd.DataFrame({name: [getattr(signal, name) for signal in signals] for name in names})
    times = {name: frame[name].astype("datetime64[us, UTC]") for name in ("candle_open_time", "known_at")}
    return frame.assign(**times).sort_values(["known_at", "pair"], kind="stable", ignore_index=True)


def backtested(frames: dict[str, pd.DataFrame], signals: list[Signal], profile: BotProfile) -> tuple[Trade, ...]:
    horizon = profile.horizon // CANDLE
    made = {pair: candle_arrays(frame, FUNDING, horizon_candles=horizon) for pair, frame in frames.items()}
    result = backtest(
        signal_frame(signals),
        made,
        profile,
        markets={pair: a_market(pair) for pair in frames},
        costs=COSTS,
        candle=CANDLE,
        start=FIRST,
        end=FIRST + LENGTH * CANDLE,
    )
    # The daemon's last tick is at the last close but one: what ends later it cannot know.
    return tuple(trade for trade in result.trades if trade.close_date is not None and trade.close_date <= FIRST + (LENGTH - 1) * CANDLE)


class Lives(NamedTuple):
    """Closed trades of one bot in both worlds."""

    lived: Sequence[Trade]
    tested: Sequence[Trade]


def both(open_floor: OpenFloor, *, seed: int, profile: BotProfile, restart_every: int = LENGTH) -> Lives:
    frames = {pair: random_candles(seed * 2 + index, candles=LENGTH) for index, pair in enumerate((BTC, ETH))}
    signals = some_signals(seed)
    floor: Floor = open_floor(
        frames=frames,
        funding=dict.fromkeys(frames, FUNDING),
        signals=ScriptedSignals(*signals),
        profiles=[profile],
        markets=[a_market(BTC), a_market(ETH)],
    )
    for number in range(ENTRY_AT - 1, LENGTH):
        floor.run_candles(number, number)
        if number % restart_every == 0:
            floor.reopen()
    return Lives(floor.stores["BOT1"].closed_trades(closed_since=None), backtested(frames, signals, profile))


def story(trade: Trade) -> tuple[str, bool, datetime, datetime | None, str | None]:
    closed = None if trade.close_date is None else candle_open_time(trade.close_date, "5m")
    return trade.pair, trade.is_short, candle_open_time(trade.open_date, "5m"), closed, trade.exit_reason


def numbers(trade: Trade) -> tuple[float | None, ...]:
    return trade.open_rate, trade.close_rate, trade.close_profit, trade.min_rate, trade.max_rate, trade.leverage


def assert_same(lives: Lives, *, amounts: float) -> None:
    assert [story(trade) for trade in lives.lived] == [story(trade) for trade in lives.tested]
    for mine, theirs in zip(lives.lived, lives.tested, strict=True):
        # The exchange's rates have 12 digits.
        assert numbers(mine) == pytest.approx(numbers(theirs), rel=1e-8)
        assert mine.amount == pytest.approx(theirs.amount, rel=amounts)
        assert mine.funding_fees / mine.amount == pytest.approx(theirs.funding_fees / theirs.amount, rel=1e-8)


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_daemon_given_the_signals_of_a_backtest_then_makes_its_trades(open_floor: OpenFloor, seed: int) -> None:
    lives = both(open_floor, seed=seed, profile=PROFILE)

    assert len(lives.tested) >= 3
    assert_same(lives, amounts=1e-12)


def test_daemon_given_two_positions_and_restarts_then_makes_the_trades_of_a_backtest(open_floor: OpenFloor) -> None:
    lives = both(open_floor, seed=5, profile=replace(PROFILE, max_open_trades=2, limits=UNLIMITED), restart_every=31)

    reasons = {trade.exit_reason for trade in lives.tested}
    assert reasons == {reason.value for reason in (ExitReason.STOP_LOSS, ExitReason.ROI, ExitReason.GIVEBACK, ExitReason.TIME_EXIT)}
    assert any(trade.funding_fees for trade in lives.tested)
    assert_same(lives, amounts=2e-3)
