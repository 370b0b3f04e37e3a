"""Detect the time zone in which PostgreSQL stores the dates of a bot: freqtrade's columns contain no zone."""

from __future__ import annotations

import sqlalchemy as sa

from bot3.adapters.sql.errors import translated
from bot3.adapters.sql.server import server_engine
from bot3.adapters.sql.urls import parsed_url, server_url, shown_url
from bot3.errors import StoreError

_CONNECT_TIMEOUT_S = 3
# Freqtrade sends aware times to columns without a zone: the server writes them in the zone of the bot's session. The bot created the
# tables, so their owner is its role; a zone set for a role takes precedence over one set for a database, and that over the server's.
_QUESTION = """
SELECT (
    SELECT split_part(said, '=', 2)
       FROM pg_db_role_setting AS held, unnest(held.setconfig) AS said
      WHERE lower(split_part(said, '=', 1)) = 'timezone'
        AND held.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND held.setrole IN (0, (SELECT relowner FROM pg_class WHERE oid = to_regclass('trades')))
      ORDER BY held.setrole = 0, held.setdatabase = 0
      LIMIT 1),
    setting, source, current_user
FROM pg_settings WHERE name = 'TimeZone'
"""
# Sources of a zone that all sessions of the server or of the database share; a zone from any other source is this session's own and hides
# the shared one.
_OF_ALL_SESSIONS = {"default", "environment variable", "configuration file", "command line", "global", "database"}


def writers_zone(address: str) -> str | None:
    """Return the name of the time zone in which a bot's dates are stored, as the server spells it; None for SQLite, whose dates are in UTC.

    The result is wrong for a bot whose own process sets `PGTZ`: that zone cannot be queried.

    Raises
    ------
    StoreError
        If the database cannot be queried, if this platform's session has a zone of its own, which hides the server's, or if the zone is
        empty.
    """
    if not address.startswith("postgres"):
        return None
    url = server_url(parsed_url(address))
    shown = shown_url(url)
    engine = server_engine(url, session={}, connect_timeout_s=_CONNECT_TIMEOUT_S, poolclass=sa.NullPool)
    with translated(shown), engine.connect() as connection:
        held, ours, source, role = connection.exec_driver_sql(_QUESTION).one()
    if held is None and source not in _OF_ALL_SESSIONS:
        raise StoreError(
            f"the server's time zone of {shown} is hidden: this connection has the explicit zone {ours} ({source}); unset PGTZ and "
            f"PGOPTIONS in this environment and `options` in the address, or `ALTER ROLE {role} RESET timezone`"
        )
    if not (zone := held or ours):
        raise StoreError(f"the time zone of {shown} is empty: check `SHOW timezone`")
    return str(zone)
