"""Database servers: what one says about itself, and how a home's stores are spread over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a session that says nothing about zones gets.

    Parameters
    ----------
    database, role : str
        Which database was asked, and as whom.
    timezone : str
        In which naive stamps and `now()` are shown.
    ahead : timedelta
        How far the server's clock is ahead of this machine's; below 0 if it is behind.
    is_superuser : bool
        Whether the role may do everything.
    """

    database: str
    role: str
    timezone: str
    ahead: timedelta
    is_superuser: bool
