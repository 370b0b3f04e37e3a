"""Feeder weeks: the name of a week is the date of its Monday, "2025-01-06"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot3.errors import SettingsError

WEEK = timedelta(days=7)


def week_of(at: datetime) -> str:
    """Return the name of the week that contains an instant (aware)."""
    day = at.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def week_start(week: str) -> datetime:
    """Return the first instant of a week.

    Raises
    ------
    SettingsError
        If the text is not the date of a Monday.
    """
    try:
        start = datetime.strptime(week, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise SettingsError(f"week {week!r} is invalid: set the date of a Monday such as 2025-01-06") from None
    if start.weekday() != 0:
        raise SettingsError(f"week {week!r} is not a Monday: use the week that contains it, {week_of(start)}")
    return start


def walk_forward_weeks(first: datetime, last: datetime, *, every: int = 4) -> tuple[str, ...]:
    """Return the names of every `every`-th week: from the first one that starts at or after `first` to those that start by `last`."""
    start = week_start(week_of(first))
    if start < first:
        start += WEEK
    weeks = []
    while start <= last:
        weeks.append(week_of(start))
        start += every * WEEK
    return tuple(weeks)
