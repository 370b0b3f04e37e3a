"""Timeframes such as "5m": how long a candle lasts and which one holds an instant."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bot3.errors import SettingsError

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timeframe_duration(timeframe: str) -> timedelta:
    """Return how long one candle of a timeframe lasts, "5m" to 5 minutes.

    Raises
    ------
    SettingsError
        If the text is not a whole number above 0 followed by m, h or d.
    """
    match = re.fullmatch(r"([1-9]\d*)([mhd])", timeframe)
    if match is None:
        raise SettingsError(f"timeframe {timeframe!r} is not a number followed by m, h or d, such as 5m")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def candle_open_time(at: datetime, timeframe: str) -> datetime:
    """Return the open time of the candle that is in progress at an instant (aware UTC)."""
    duration = timeframe_duration(timeframe)
    return at - (at - _EPOCH) % duration
