"""Facts of database servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """Facts about a PostgreSQL server, queried in a session that sets no time zone of its own.

    Parameters
    ----------
    database, role : str
        The database that was queried, and the role that queried it.
    timezone : str
        Time zone in which such a session writes timestamps to columns without a zone.
    ahead : timedelta
        How far the server's clock is ahead of this machine's; below 0 if it is behind.
    is_superuser : bool
        Whether the role is a superuser.
    """

    database: str
    role: str
    timezone: str
    ahead: timedelta
    is_superuser: bool
