"""The whole daemon against the backtest: the same signals on the same candles make the same trades."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bot3.learning.candle_arrays import candle_arrays
from bot3.market.candle_series import no_funding
from bot3.market.timeframes import candle_open_time
from bot3.trading.backtest import backtest
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import Signal
from bot3.trading.trades import Trade
from tests.execution.floors import ENTRY_AT, Floor, ScriptedSignals, signal_at
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, LIMITS, a_market, a_profile, random_candles

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
    made = {pair: candle_arrays(frame, no_funding(), horizon_candles=horizon) for pair, frame in frames.items()}
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
    return result.trades


def story(trade: Trade) -> tuple[str, bool, datetime, datetime | None, str | None]:
    closed = None if trade.close_date is None else candle_open_time(trade.close_date, "5m")
    return trade.pair, trade.is_short, candle_open_time(trade.open_date, "5m"), closed, trade.exit_reason


@pytest.mark.parametrize("seed", range(4))
def test_daemon_given_the_signals_of_a_backtest_then_makes_its_trades(tmp_path: Path, seed: int) -> None:
    frames = {pair: random_candles(seed * 2 + index, candles=LENGTH) for index, pair in enumerate((BTC, ETH))}
    signals = some_signals(seed)
    floor = Floor(
        home=tmp_path, frames=frames, signals=ScriptedSignals(*signals), profiles=[PROFILE], markets=[a_market(BTC), a_market(ETH)]
    )
    floor.to_close_of(ENTRY_AT - 1)
    floor.open()

    floor.run_candles(ENTRY_AT - 1, LENGTH - 1)

    lived = floor.stores["BOT1"].closed_trades(closed_since=None)
    floor.close()
    tested = [trade for trade in backtested(frames, signals, PROFILE) if trade.close_date <= FIRST + (LENGTH - 1) * CANDLE]
    assert len(tested) > 3
    assert [story(trade) for trade in lived] == [story(trade) for trade in tested]
    for mine, theirs in zip(lived, tested, strict=True):
        assert (mine.open_rate, mine.close_rate) == (pytest.approx(theirs.open_rate), pytest.approx(theirs.close_rate))
        assert (mine.close_profit, mine.min_rate, mine.max_rate) == tuple(
            pytest.approx(value, rel=1e-6) for value in (theirs.close_profit, theirs.min_rate, theirs.max_rate)
        )
