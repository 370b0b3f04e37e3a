"""Horizon: the longest time that a trade of a signal source is open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError

COVERED_SHARE = 0.9
"""Share of a source's earlier trades that its horizon covers, if the source states none."""


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
    def of_context(cls, context: Mapping[str, object]) -> Horizon:
        """Return the horizon that was stored with an entry; 24 h for an entry of a release without horizons.

        Raises InvalidTradeError for a value that is no horizon.
        """
        name = context.get("horizon", cls.DAY.value)
        if name not in set(cls):
            raise InvalidTradeError(f"an entry's context has the horizon {name!r}: it must be one of {', '.join(cls)}")
        return cls(str(name))

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


def horizons_of_source(asked_us: NDArray[np.int64], *, open_us: NDArray[np.int64], close_us: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the horizons of entries of a source that states none, as values of `Horizon`.

    It is the 90 % quantile of the time in trade of those of its trades that had closed by the entry, rounded up to a horizon (the longest
    one beyond all), and 24 h if none had closed.

    Parameters
    ----------
    asked_us : array of shape (n,)
        Times of the entries, microseconds since 1970.
    open_us, close_us : arrays of shape (m,)
        Times of the source's trades, in any order; those that close after an entry do not influence it.
    """
    order = np.argsort(close_us, kind="stable")
    held = (close_us - open_us)[order]
    known = np.searchsorted(close_us[order], asked_us, side="right")
    found = np.full(len(asked_us), Horizon.WEEK.value, dtype=object)
    for horizon in (Horizon.THREE_DAYS, Horizon.DAY, Horizon.EIGHT_HOURS):
        covered = np.concatenate(([0], np.cumsum(held <= horizon.duration // timedelta(microseconds=1))))
        found[covered[known] >= COVERED_SHARE * known] = horizon.value
    found[known == 0] = Horizon.DAY.value
    return found
