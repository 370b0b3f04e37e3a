"""Query facts about a PostgreSQL server over a connection without session settings."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from bot3.adapters.sql.errors import translated
from bot3.adapters.sql.server import server_engine
from bot3.adapters.sql.urls import parsed_url, server_url, shown_url
from bot3.ports.clock import Clock
from bot3.ports.servers import ServerFacts

_QUESTION = """
SELECT current_database(), current_user, current_setting('TimeZone'), extract(epoch FROM clock_timestamp())::float8,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
_CONNECT_TIMEOUT_S = 3


def server_facts(url: str, *, clock: Clock) -> ServerFacts:
    """Query the time zone, clock and role of a session on a PostgreSQL server. Raises StoreError if the server cannot be queried."""
    address = server_url(parsed_url(url))
    engine = server_engine(address, session={}, connect_timeout_s=_CONNECT_TIMEOUT_S, poolclass=sa.NullPool)
    with translated(shown_url(address)), engine.connect() as connection:
        began = clock.wall_now()
        database, role, zone, epoch_s, is_superuser = connection.exec_driver_sql(_QUESTION).one()
        ended = clock.wall_now()
    # The server computed its time between request and response: the middle is the best estimate.
    ahead = datetime.fromtimestamp(epoch_s, tz=UTC) - (began + (ended - began) / 2)
    return ServerFacts(database=database, role=role, timezone=zone, ahead=ahead, is_superuser=bool(is_superuser))
