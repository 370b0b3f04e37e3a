"""Small markets and trades to learn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from bot3.learning.parameters.learner import Hyperparameters, LearningSettings, ParameterLearner
from bot3.trading.leverage_bins import DEFAULT_BINS

START = datetime(2025, 1, 1, tzinfo=UTC)
PAIRS = ("AAA/USDT:USDT", "BBB/USDT:USDT")
CANDLES = 288 * 20
NOW = START + timedelta(days=20)


def candle_frame(*, seed: int, n: int = CANDLES) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    # Volatility changes by a factor of three within a day, so that a value read one candle too early or too late differs.
    deviation = 0.002 * np.exp(0.55 * np.sin(np.arange(n) / 45.0))
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1.0, n) * deviation))
    opened = np.concatenate(([100.0], close[:-1]))
    times = pd.Series(pd.date_range(START, periods=n, freq="5min")).astype("datetime64[us, UTC]")
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    return pd.DataFrame({"open_time": times, "open": opened, "high": high, "low": low, "close": close, "volume": 1.0})


def funding_frame() -> pd.DataFrame:
    times = pd.Series(pd.date_range(START, periods=60, freq="8h")).astype("datetime64[us, UTC]")
    return pd.DataFrame({"time": times, "funding_rate": 0.0001})


def trade_row(
    trade_id: int,
    *,
    opened: datetime,
    pair: str = PAIRS[0],
    bot: str = "BOT1",
    is_short: bool = False,
    leverage: float = 3.0,
    close_profit: float = 0.01,
    exit_reason: str = "roi",
    open_rate: float = 100.0,
) -> dict[str, object]:
    return {
        "bot": bot,
        "run_mode": "paper",
        "trade_id": trade_id,
        "open_date": pd.Timestamp(opened),
        "close_date": pd.Timestamp(opened + timedelta(hours=2)),
        "pair": pair,
        "is_short": is_short,
        "direction": "short" if is_short else "long",
        "leverage": leverage,
        "leverage_bin": DEFAULT_BINS.name_of(leverage),
        "open_rate": open_rate,
        "close_profit": close_profit,
        "exit_reason": exit_reason,
    }


def many_trades(n: int, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frames = {pair: candle_frame(seed=place) for place, pair in enumerate(PAIRS)}
    rows = []
    for trade_id in range(n):
        place, pair = int(rng.integers(400, CANDLES)), PAIRS[int(rng.integers(2))]
        candle = frames[pair].iloc[place]
        rows.append(
            trade_row(
                trade_id,
                opened=candle["open_time"].to_pydatetime() + timedelta(seconds=4),
                pair=pair,
                bot=f"BOT{int(rng.integers(1, 4))}",
                is_short=bool(rng.integers(2)),
                leverage=float(rng.uniform(1.0, 10.0)),
                close_profit=float(rng.normal(0.0, 0.03)),
                open_rate=float(candle["open"]),
            )
        )
    return pd.DataFrame(rows)


def learner_with(
    trades: pd.DataFrame,
    *,
    now: datetime = NOW,
    settings: LearningSettings | None = None,
    hyper: Hyperparameters | None = None,
) -> ParameterLearner:
    learner = ParameterLearner(settings or LearningSettings(), hyper=hyper)
    for place, pair in enumerate(PAIRS):
        frame, funding = candle_frame(seed=place), funding_frame()
        known = frame["open_time"] + pd.Timedelta(minutes=5) <= pd.Timestamp(now)
        learner.add_candles(pair, frame[known].reset_index(drop=True), funding[funding["time"] < pd.Timestamp(now)].reset_index(drop=True))
    learner.ingest(trades)
    learner.replay_due(now=now)
    return learner
