"""Time: the market's and the wall's."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The one market clock. `now` never runs backwards while it runs; all times are aware UTC."""

    @property
    def speed(self) -> float:
        """Market seconds a wall second; 1.0 when live."""
        ...

    def now(self) -> datetime:
        """Return the market's time: wall time when live; of the market on simulated and replayed candles."""
        ...

    def wall_now(self) -> datetime:
        """Return the wall's time, for `computed_at`, signatures and logs."""
        ...

    def sleep(self, wall_seconds: float) -> None:
        """Wait; a test's clock moves instead."""
        ...
