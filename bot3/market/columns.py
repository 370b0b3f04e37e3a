"""One pair's candles as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.market.indicators import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleColumns:
    """One pair's candles as arrays of shape (n,), oldest first; `open_us` are microseconds since 1970."""

    open_us: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.open_us)

    def since(self, first: int) -> CandleColumns:
        """Return the candles from an index on, without copying them; an index below 0 counts from the end."""
        return CandleColumns(**{field.name: getattr(self, field.name)[first:] for field in fields(self)})


def candle_columns(candles: pd.DataFrame) -> CandleColumns:
    """Return the arrays of a candle frame."""
    return CandleColumns(
        open_us=candles["open_time"].to_numpy(dtype="datetime64[us]").astype(np.int64),
        **{name: np.ascontiguousarray(candles[name].to_numpy(dtype=np.float64)) for name in ("open", "high", "low", "close", "volume")},
    )
