"""Horizon: the longest time that a trade of a signal source is open."""

from __future__ import annotations

import math
from datetime import timedelta
from enum import StrEnum


class Horizon(StrEnum):
    """Longest time that a trade is open; a property of the signal source, fixed at the trade's entry.

    A trade is exited at the first close at or after its entry's signal plus the horizon, and replayed over this span. The value is the name
    in signals, intents, trades and parameters. Members are ordered from the shortest to the longest.
    """

    EIGHT_HOURS = "8h"
    DAY = "24h"
    THREE_DAYS = "3d"
    WEEK = "7d"

    @property
    def duration(self) -> timedelta:
        """Return the duration."""
        return _DURATIONS[self]

    @property
    def sigma_factor(self) -> float:
        """Return by what the volatility over 24 h is multiplied to get that over this horizon.

        Variances of the log price add up over time, so this is the square root of the ratio of the durations: 1 for 24 h.
        """
        return math.sqrt(_DURATIONS[self] / _DURATIONS[Horizon.DAY])

    @classmethod
    def covering(cls, span: timedelta) -> Horizon:
        """Return the shortest horizon that is at least as long as a span; the longest one for a longer span."""
        return next((horizon for horizon in cls if horizon.duration >= span), cls.WEEK)


_DURATIONS = {
    Horizon.EIGHT_HOURS: timedelta(hours=8),
    Horizon.DAY: timedelta(hours=24),
    Horizon.THREE_DAYS: timedelta(days=3),
    Horizon.WEEK: timedelta(days=7),
}
