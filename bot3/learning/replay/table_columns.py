"""What a trade table stores of each trade: columns of numbers, and a record of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bot3.learning.replay.groups import Group
from bot3.market.instants import microseconds
from bot3.trading.horizons import Horizon
from bot3.trading.trade_classes import class_label

FACTS: dict[str, Any] = {
    "close_profit": np.float64,
    "open_us": np.int64,
    "close_us": np.int64,
    "open_rate": np.float64,
    "leverage": np.float64,
    "is_short": np.bool_,
    "sigma": np.float64,
    "horizon_candles": np.int64,
    "candles": np.int64,
    "entry": np.int64,
    "end": np.int64,
    "mae_move": np.float64,
    "mfe_move": np.float64,
    "exit_move": np.float64,
    "funding_move": np.float64,
    "state": np.int8,
    "saved_state": np.int8,
    "saved_funding": np.float64,
    "pair_code": np.int64,
    "source": np.int64,
    "is_late": np.bool_,
    "entry_fit": np.int8,
    "is_left_out": np.bool_,
}
"""Type of each column of numbers."""
_REMEMBERED = ("pair", "direction", "leverage_bin", "exit_reason", "order_pattern", "horizon")


def horizon_of(trade: dict[str, Any]) -> Horizon:
    """Return a trade's horizon; 24 h if it is missing."""
    name = trade.get("horizon")
    return Horizon(name) if name in set(Horizon) else Horizon.DAY


def group_of(trade: dict[str, Any]) -> Group:
    """Return the cell of a trade: pair, direction, and the label of its leverage bin and horizon."""
    return trade["pair"], trade["direction"], class_label(trade["leverage_bin"], horizon_of(trade))


def key_columns(frame: pd.DataFrame) -> tuple[list[Any], ...]:
    """Return the key columns of trades (bot, run mode, trade id, time of the entry) as plain Python values."""
    modes = [str(mode) for mode in frame["run_mode"].tolist()]
    return frame["bot"].tolist(), modes, frame["trade_id"].astype("int64").tolist(), microseconds(frame["open_date"]).tolist()


def records(trades: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the columns that a table stores of each trade; the rest of the record's thirty columns is not needed here."""
    names = [name for name in _REMEMBERED if name in trades.columns]
    columns = (*key_columns(trades), *(trades[name].tolist() for name in names))
    keys = ("bot", "run_mode", "trade_id", "open_us", *names)
    return [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]
