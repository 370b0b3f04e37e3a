"""What was booked lately: what a query that overlaps the one before returns again is known by its name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta


class Booked:
    """Names of fills or payments, with the market time of each; what is older than the overlap cannot be returned again and is forgotten.

    Parameters
    ----------
    newest : datetime
        Time of the newest one that was booked.
    overlap : timedelta
        How much later than a newer one an older one may be reported.
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
        """Return from when on to query."""
        return self.newest - self._overlap

    def add(self, found: Mapping[str, datetime]) -> None:
        """Remember what was booked."""
        self.newest = max([self.newest, *found.values()])
        self._names = {name: at for name, at in {**self._names, **found}.items() if at >= self.since}
