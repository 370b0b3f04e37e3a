"""The wall clock: only this module reads the machine's time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """A `Clock` whose market time is wall time."""

    @property
    def speed(self) -> float:
        """Return 1.0: a market second is a wall second."""
        return 1.0

    def now(self) -> datetime:
        """Return the wall time."""
        return datetime.now(UTC)

    def wall_now(self) -> datetime:
        """Return the wall time."""
        return datetime.now(UTC)

    def sleep(self, wall_seconds: float) -> None:
        """Sleep for some seconds of wall time."""
        time.sleep(wall_seconds)
