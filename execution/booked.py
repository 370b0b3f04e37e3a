"""Recognize fills and payments that were already booked, because consecutive queries overlap in time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta


class Booked:
    """The ids of recently booked fills or payments, each with its market time.

    An id older than the overlap is dropped: no later query can return it again.

    Parameters
    ----------
    newest : datetime
        Time of the newest item that was booked.
    overlap : timedelta
        How long after a newer item an older one may still be reported.
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
        """Return the time from which the next query must start."""
        return self.newest - self._overlap

    def add(self, found: Mapping[str, datetime]) -> None:
        """Add the ids of booked items and drop those older than the overlap."""
        self.newest = max([self.newest, *found.values()])
        self._names = {name: at for name, at in {**self._names, **found}.items() if at >= self.since}
