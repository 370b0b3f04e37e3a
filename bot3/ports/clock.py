"""Clocks: market time and wall time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The market clock of a home. `now` decreases only if the clock was set to another, earlier time; all times are aware UTC."""

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
        """Wait for some seconds of wall time; the clock of a test advances its time instead."""
        ...
