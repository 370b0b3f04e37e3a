"""Trades for the audit benchmark: entries without skill on real candles, written as a freqtrade database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bot3.ports.candles import CandleReader
from bot3.trading.costs import close_profit

WARM_UP_CANDLES = 576
HOLD_CANDLES = (12, 24, 48, 96, 144)
FEE = 0.0005
_COLUMNS = (
    "id INTEGER PRIMARY KEY, exchange VARCHAR(25), pair VARCHAR(25), is_open BOOLEAN, is_short BOOLEAN, leverage FLOAT, open_rate FLOAT, "
    "close_rate FLOAT, open_date DATETIME, close_date DATETIME, close_profit FLOAT, close_profit_abs FLOAT, stake_amount FLOAT, "
    "amount FLOAT, fee_open FLOAT, fee_close FLOAT, exit_reason VARCHAR(255), enter_tag VARCHAR(255)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Rule (`kind`), number and seed of entries.

    "random" draws the candle and the side; "momentum" draws the candle, and goes short if the price fell in the four hours before, long
    otherwise. Neither uses information about the future, so that their results consist of chance and costs.
    """

    kind: str
    n: int
    seed: int


def write_database(path: Path, candles: CandleReader, entries: Entries, *, start: datetime, end: datetime) -> int:
    """Write trades that open and close between two times, equally many of each pair, to a new freqtrade database; return their number."""
    rng = np.random.default_rng(entries.seed)
    pairs = candles.pairs()
    share = np.full(len(pairs), entries.n // len(pairs))
    share[: entries.n % len(pairs)] += 1
    parts = [_pair_trades(candles, pair, int(n), entries.kind, rng, start=start, end=end) for pair, n in zip(pairs, share, strict=True)]
    trades = pd.concat(parts).sort_values(["open_date", "pair"], ignore_index=True)
    trades.insert(0, "id", np.arange(1, len(trades) + 1))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE trades ({_COLUMNS})")
        marks = ", ".join("?" * len(trades.columns))
        insert = f"INSERT INTO trades ({', '.join(trades.columns)}) VALUES ({marks})"  # noqa: S608  # constant names
        connection.executemany(insert, trades.astype(object).to_numpy().tolist())
    return len(trades)


def _pair_trades(
    candles: CandleReader, pair: str, n: int, kind: str, rng: np.random.Generator, *, start: datetime, end: datetime
) -> pd.DataFrame:
    frame = candles.candles(pair, "5m", start=candles.span(pair, "5m")[0], end=end)
    opens = frame["open_time"]
    first = max(int(opens.searchsorted(pd.Timestamp(start))), WARM_UP_CANDLES)
    at = np.sort(rng.choice(np.arange(first, len(frame) - max(HOLD_CANDLES) - 1), size=n, replace=False))
    left = at + rng.choice(HOLD_CANDLES, size=n)
    rates = frame["open"].to_numpy(dtype=np.float64)
    is_short = rng.random(n) < 0.5 if kind == "random" else rates[at] < rates[at - 48]
    leverage = np.round(np.exp(rng.uniform(0.0, np.log(10.0), n)), 2)
    open_rate, close_rate = rates[at], rates[left]
    profits = [_profit(*row) for row in zip(open_rate, close_rate, is_short, leverage, strict=True)]
    is_liquidated = np.array(profits) < -1.0
    return pd.DataFrame(
        {
            "exchange": "binance",
            "pair": pair,
            "is_open": 0,
            "is_short": is_short.astype(int),
            "leverage": leverage,
            "open_rate": open_rate,
            "close_rate": close_rate,
            "open_date": _stamps(opens.iloc[at], seconds=2),
            "close_date": _stamps(opens.iloc[left], seconds=2),
            "close_profit": np.maximum(profits, -1.0),
            "close_profit_abs": np.maximum(profits, -1.0) * 100.0,
            "stake_amount": 100.0,
            "amount": 100.0 * leverage / open_rate,
            "fee_open": FEE,
            "fee_close": FEE,
            "exit_reason": np.where(is_liquidated, "liquidation", "exit_signal"),
            "enter_tag": kind,
        }
    )


def _profit(open_rate: float, close_rate: float, is_short: bool, leverage: float) -> float:  # noqa: FBT001
    return close_profit(open_rate=open_rate, close_rate=close_rate, is_short=is_short, leverage=leverage, fee_open=FEE, fee_close=FEE)


def _stamps(times: pd.Series[pd.Timestamp], *, seconds: int) -> Sequence[str]:
    stamps: list[str] = (times + pd.Timedelta(seconds=seconds)).dt.strftime("%Y-%m-%d %H:%M:%S.%f").tolist()
    return stamps
