"""Recognize fills and funding payments that were already booked: consecutive queries overlap in time and return some twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta


class Booked:
    """The ids of recently booked fills or payments, each with its market time.

    Ids more than `overlap` older than the newest are dropped: no later query returns them again.

    Parameters
    ----------
    newest : datetime
        Market time of the newest item that was booked.
    overlap : timedelta
        By how much the market time of an item may be before that of an item that was reported earlier.
    """

    def __init__(self, newest: datetime, *, overlap: timedelta) -> None:
        self.newest, self._overlap = newest, overlap
        self._names: dict[str, datetime] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    @property
    def since(self) -> datetime:
        """Return the market time at which the next query must start: `overlap` before the newest booked item."""
        return self.newest - self._overlap

    def add(self, found: Mapping[str, datetime]) -> None:
        """Add the ids of booked items with their market times, and drop those before `since`."""
        self.newest = max([self.newest, *found.values()])
        self._names = {name: at for name, at in {**self._names, **found}.items() if at >= self.since}
