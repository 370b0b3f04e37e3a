"""Timeframes such as "5m": the duration of a candle, and the candle that contains an instant."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from bot3.errors import SettingsError
from bot3.market.instants import EPOCH

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}


def timeframe_duration(timeframe: str) -> timedelta:
    """Parse a timeframe; return the duration of one candle, 5 minutes for "5m".

    Raises
    ------
    SettingsError
        If the text is not a whole number above 0 followed by m, h or d.
    """
    match = re.fullmatch(r"([1-9]\d*)([mhd])", timeframe)
    if match is None:
        raise SettingsError(f"timeframe {timeframe!r} is invalid: set a number followed by m, h or d, such as 5m")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def candle_open_time(at: datetime, timeframe: str) -> datetime:
    """Return the open time of the candle that is in progress at an instant (aware UTC)."""
    duration = timeframe_duration(timeframe)
    return at - (at - EPOCH) % duration
