"""Addresses of the stores: a SQLite file in the home, or a PostgreSQL database for a store whose host is set, as by BOT3_BOT1_DB_HOST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from bot3.adapters.clocks.system import SystemClock
from bot3.settings import BOT_NAMES, Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from bot3.ports.servers import ServerFacts


def server_url(settings: Settings, name: str) -> str | None:
    """Return the URL of a store ("BOT1", "platform") on a PostgreSQL server, including its password; None for a SQLite file."""
    prefix = name.lower()
    host = getattr(settings, f"{prefix}_db_host")
    if not host:
        return None
    password: SecretStr = getattr(settings, f"{prefix}_db_password")
    port: int = getattr(settings, f"{prefix}_db_port")
    # A directory is the location of the server's socket, as everywhere in PostgreSQL; in a URL it is a query parameter, not the host.
    is_socket = host.startswith("/")
    url = URL.create(
        "postgresql+psycopg",
        username=getattr(settings, f"{prefix}_db_user"),
        password=password.get_secret_value() or None,
        host=None if is_socket else host,
        port=None if is_socket else port,
        database=getattr(settings, f"{prefix}_db_name"),
        query={"host": host, "port": str(port)} if is_socket else {},
    )
    return url.render_as_string(hide_password=False)


def server_urls(settings: Settings) -> Mapping[str, str]:
    """Return store ("BOT1", "platform") to URL, with the password, of all stores that are on PostgreSQL servers."""
    found = {name: server_url(settings, name) for name in ("platform", *BOT_NAMES)}
    return {name: url for name, url in found.items() if url is not None}


def facts_of_server(settings: Settings, name: str) -> ServerFacts:
    """Query the properties of a store's PostgreSQL server. Raises StoreError if it cannot be queried, KeyError if the store is a file."""
    from bot3.adapters.sql.server_facts import server_facts  # noqa: PLC0415  # homes on SQLite need no server's driver

    return server_facts(server_urls(settings)[name], clock=SystemClock())
