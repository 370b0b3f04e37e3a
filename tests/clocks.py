"""A clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, tzinfo=UTC)


class MovableClock:
    """A `Clock` that only moves when it is moved; sleeping moves it. Market time passes at `speed` times wall time."""

    def __init__(self, at: datetime = START, *, speed: float = 1.0) -> None:
        self._wall = at
        self._start = at
        self._speed = speed

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> datetime:
        return self._start + (self._wall - self._start) * self._speed

    def wall_now(self) -> datetime:
        return self._wall

    def sleep(self, wall_seconds: float) -> None:
        self._wall += timedelta(seconds=wall_seconds)

    def move(self, wall_seconds: float) -> None:
        """Advance wall time by some seconds; below 0 sets it back."""
        self._wall += timedelta(seconds=wall_seconds)
