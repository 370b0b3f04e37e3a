"""Hourly candles and funding of random walks as arrays, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bot3.market.columns import CandleColumns

HOUR_US = 3_600_000_000
FIRST_US = 1_736_121_600_000_000  # 2025-01-06


def hourly_walk(count: int, *, seed: int, other_from: int | None = None, factor: float = 1.0, gap: int = 0) -> CandleColumns:
    """Return candles; from `other_from` on prices and volumes are multiplied; `gap` hours are missing 300 hours before the end."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.standard_normal(count) * 0.006))
    opened = np.concatenate(([100.0], close[:-1]))
    rates = np.stack((opened, np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998, close, rng.lognormal(3.0, 0.8, count)))
    if other_from is not None:
        rates[:, other_from:] *= factor
    kept = np.ones(count, dtype=np.bool_)
    kept[count - 300 : count - 300 + gap] = False
    names = ("open", "high", "low", "close", "volume")
    return CandleColumns(
        open_us=(FIRST_US + np.arange(count) * HOUR_US)[kept], **{name: rates[i][kept].copy() for i, name in enumerate(names)}
    )


def funding_walk(count: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return funding every 8 hours over the span of `hourly_walk`."""
    times = FIRST_US + np.arange(0, count, 8) * HOUR_US
    return times, np.random.default_rng(seed).standard_normal(len(times)) * 1e-4
