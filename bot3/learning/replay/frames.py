"""Build the replay frame: what the record stores of each trade's replay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.replay.replay_frame import STATE_NAMES, ReplayState
from bot3.learning.replay.trade_table import TradeTable

_KEY = ("bot", "run_mode", "trade_id", "pair", "direction", "leverage_bin")
_MEASURES = ("mae_move", "mfe_move", "exit_move", "funding_move")


def replay_frame(table: TradeTable, rows: NDArray[np.int64], *, version: str) -> pd.DataFrame:
    """Build the rows of the record's replay frame (`ports.record.ReplayRepository`) for some rows of a table.

    `known_at` of a complete replay is `due_at` (one candle after the end of its horizon), or the trade's close if that is later; of any
    other replay it is the trade's close.
    """
    codes = table.fact("state")[rows]
    due_us = table.due_us(rows)
    complete = codes == int(ReplayState.COMPLETE)
    known_us = np.where(complete, np.maximum(due_us, table.fact("close_us")[rows]), table.fact("close_us")[rows])
    columns: dict[str, Any] = {name: [table.trades[row][name] for row in rows.tolist()] for name in _KEY}
    columns |= {
        "open_date": _times(table.fact("open_us")[rows]),
        "sigma": table.fact("sigma")[rows],
        "state": [STATE_NAMES[ReplayState(code)] for code in codes.tolist()],
        "due_at": _times(due_us),
        "reason": [table.reasons[row] for row in rows.tolist()],
        "candles": table.fact("candles")[rows],
    }
    columns |= {name: np.where(complete, table.fact(name)[rows], np.nan) for name in _MEASURES}
    columns |= {"known_at": _times(known_us), "version": version}
    return pd.DataFrame(columns)


def _times(us: NDArray[np.int64]) -> pd.Series[Any]:
    return pd.Series(pd.to_datetime(us, unit="us", utc=True)).astype("datetime64[us, UTC]")
