"""Clocks: market time and wall time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The one market clock. `now` never decreases while it runs; all times are aware UTC."""

    @property
    def speed(self) -> float:
        """Return the market seconds per wall second; 1.0 when live."""
        ...

    def now(self) -> datetime:
        """Return the market's time: wall time when live, the candles' time when simulated or replayed."""
        ...

    def wall_now(self) -> datetime:
        """Return the wall time, for `computed_at`, signatures and logs."""
        ...

    def sleep(self, wall_seconds: float) -> None:
        """Wait; a test's clock advances instead."""
        ...
