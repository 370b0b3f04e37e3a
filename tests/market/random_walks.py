"""Candle frames of random walks, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

WALK_START = datetime(2025, 1, 6, tzinfo=UTC)


def random_walk(count: int, *, seed: int, drift_of_last: float = 0.0, rate: float = 100.0) -> pd.DataFrame:
    """Return a valid candle frame; `drift_of_last` is the share of a candle's move added to the next one (0: nothing to learn)."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal(count) * 0.002 * np.exp(0.5 * np.sin(np.arange(count) / 400.0))
    moves = np.empty(count)
    last = 0.0
    for i, shock in enumerate(shocks):
        last = moves[i] = drift_of_last * last + shock
    close = rate * np.exp(np.cumsum(moves))
    opened = np.concatenate([[rate], close[:-1]])
    return pd.DataFrame(
        {
            "open_time": pd.date_range(WALK_START, periods=count, freq="5min", unit="us"),
            "open": opened,
            "high": np.maximum(opened, close) * (1.0 + 0.001 * rng.random(count)),
            "low": np.minimum(opened, close) * (1.0 - 0.001 * rng.random(count)),
            "close": close,
            "volume": rng.lognormal(3.0, 1.0, count) * (rng.random(count) > 0.01),
        }
    )
