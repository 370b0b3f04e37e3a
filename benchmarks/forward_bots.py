"""Three bots of rules without skill on real candles: their entries, which are what the forward benchmark learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.market.instants import HOUR_US, microseconds
from bot3.market.volatility import SIGMA_WARM_UP_CANDLES, expected_sigma
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.sizing import choose_leverage
from bot3.trading.trades import RunMode, direction

HOUR_CANDLES, DAY_CANDLES = 12, 288
HORIZON = timedelta(hours=24)
TARGET_VOLATILITY = 0.12
SLIPPAGE = 0.0001
PAUSE_HOURS = 12
"""Hours between two entries of a bot in a pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBot:
    """A bot's name, and its own stop and target in units of the volatility at entry (infinity: no target)."""

    name: str
    stop: float
    target: float


BOTS = (
    RuleBot(name="momentum_4h", stop=1.5, target=3.0),
    RuleBot(name="breakout_24h", stop=1.0, target=np.inf),
    RuleBot(name="reversal_1h", stop=2.0, target=1.0),
)


def sides_of(candles: pd.DataFrame, sigma: NDArray[np.float64]) -> dict[str, NDArray[np.int8]]:
    """Return the side (1 long, -1 short, 0 none) of each bot at the close of each candle, from that candle and earlier ones only.

    Momentum follows a move of 4 h, and reversal opposes one of 1 h, that exceeds 1.0 and 1.5 deviations of its duration; breakout follows a
    close beyond the extremes of the 24 h before.
    """
    close = candles["close"]
    growth = {hours: (close / close.shift(hours * HOUR_CANDLES)).to_numpy(dtype=np.float64) for hours in (1, 4)}
    moves = {hours: np.log(own) / (sigma * np.sqrt(hours / 24.0)) for hours, own in growth.items()}
    top = candles["high"].rolling(DAY_CANDLES).max().shift(1).to_numpy(dtype=np.float64)
    bottom = candles["low"].rolling(DAY_CANDLES).min().shift(1).to_numpy()
    rates = close.to_numpy()
    return {
        "momentum_4h": _side(moves[4] > 1.0, moves[4] < -1.0),
        "breakout_24h": _side(rates > top, rates < bottom),
        "reversal_1h": _side(moves[1] < -1.5, moves[1] > 1.5),
    }


def _side(is_long: NDArray[np.bool_], is_short: NDArray[np.bool_]) -> NDArray[np.int8]:
    return is_long.astype(np.int8) - is_short.astype(np.int8)


def trades_of(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the closed trades of all bots on candles by pair, in order of their entries.

    Each enters at the open of the candle after its signal, checked at full hours, and counts as closed at the end of the horizon; the close
    profit is not used.
    """
    rows = [row for pair, candles in frames.items() for row in _trades_of_pair(pair, candles)]
    trades = pd.DataFrame(rows).sort_values(["open_us", "bot", "pair"], kind="stable", ignore_index=True)
    opened = pd.Series(pd.to_datetime(trades.pop("open_us"), unit="us", utc=True)).astype("datetime64[us, UTC]")
    return trades.assign(
        trade_id=np.arange(len(trades)),
        run_mode=RunMode.BACKTEST.value,
        open_date=opened,
        close_date=opened + HORIZON,
        close_profit=0.0,
        exit_reason="roi",
    )


def _trades_of_pair(pair: str, candles: pd.DataFrame) -> list[dict[str, Any]]:
    open_us, opens = microseconds(candles["open_time"]), candles["open"].to_numpy()
    sigma = expected_sigma(candles["close"].to_numpy(dtype=np.float64), horizon_candles=DAY_CANDLES)
    spans = DEFAULT_BINS.spans(DEFAULT_BINS.names, highest=DEFAULT_BINS.highest)
    rows = []
    for name, sides in sides_of(candles, sigma).items():
        free_us = 0
        entries = np.flatnonzero((sides[:-1] != 0) & (open_us[1:] % HOUR_US == 0)) + 1
        for entry in entries[entries > SIGMA_WARM_UP_CANDLES].tolist():
            if open_us[entry] < free_us or not sigma[entry - 1] > 0.0:
                continue
            free_us = int(open_us[entry]) + PAUSE_HOURS * HOUR_US
            is_short = bool(sides[entry - 1] < 0)
            leverage = choose_leverage(sigma=float(sigma[entry - 1]), target_volatility=TARGET_VOLATILITY, spans=spans)
            rate = float(opens[entry]) * (1.0 - SLIPPAGE if is_short else 1.0 + SLIPPAGE)
            rows.append(
                {
                    "bot": name,
                    "pair": pair,
                    "is_short": is_short,
                    "direction": direction(is_short=is_short),
                    "leverage": leverage,
                    "leverage_bin": DEFAULT_BINS.name_of(leverage),
                    "open_rate": rate,
                    "open_us": int(open_us[entry]),
                }
            )
    return rows
