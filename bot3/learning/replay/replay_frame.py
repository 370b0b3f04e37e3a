"""State of a trade's replay, and the dimensions of the path that it covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bot3.trading.horizons import Horizon


class ReplayState(IntEnum):
    """State of a trade's replay; `STATE_NAMES` contains the names in the record.

    PENDING: not replayed yet. COMPLETE: its whole horizon was replayed. NO_CANDLES: candles are missing. LEFT_OUT: not learned from.
    """

    PENDING = 0
    COMPLETE = 1
    NO_CANDLES = 2
    LEFT_OUT = 3


STATE_NAMES = {
    ReplayState.PENDING: "pending",
    ReplayState.COMPLETE: "complete",
    ReplayState.NO_CANDLES: "no_candles",
    ReplayState.LEFT_OUT: "left_out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFrame:
    """Dimensions of a trade's path: duration of a candle in microseconds, and the horizon in candles of trades that state none.

    The volatility of the candle arrays is that over `horizon_candles`.
    """

    horizon_candles: int
    candle_us: int

    @property
    def due_after_us(self) -> int:
        """Return how long after its entry the replay of a trade without a horizon is due, in microseconds: the horizon and one candle."""
        return (self.horizon_candles + 1) * self.candle_us

    def candles_of(self, horizons: Iterable[object]) -> NDArray[np.int64]:
        """Return horizons, given as values of `Horizon`, in candles; one that is missing has `horizon_candles`."""
        candles = {horizon.value: horizon.duration // timedelta(microseconds=self.candle_us) for horizon in Horizon}
        return np.array([candles.get(str(name), self.horizon_candles) for name in horizons], dtype=np.int64)
