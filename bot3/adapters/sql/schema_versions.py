"""Migrate schemas: the same Alembic migrations on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from bot3.errors import StoreError

log = structlog.get_logger()

_MIGRATIONS = Path(__file__).parent / "migrations"

HEADS = {"bot": "bot_0003", "platform": "platform_0014", "control": "control_0002"}
"""The newest migration of each kind of store, written here so that an up-to-date store opens without loading Alembic."""


def version_table(kind: str) -> str:
    """Return the name of the table with the schema version of a kind of store; two kinds may share one PostgreSQL database."""
    return f"alembic_version_{kind}"


def require_current(connection: Connection, *, kind: str, shown: str, read_only: bool) -> bool:
    """Return whether a store has this release's schema; False if its tables must be created or migrated.

    Raises
    ------
    StoreError
        If the schema is newer, or if it is older or missing and the store was opened for reading only.
    """
    version = _version(connection, kind=kind)
    if version == HEADS[kind]:
        return True
    if version is not None and version > HEADS[kind]:
        raise StoreError(f"{shown} was written by a newer release (schema {version}, this one knows {HEADS[kind]}): update bot3")
    if read_only:
        state = f"of an older schema ({version})" if version else f"no {kind} store"
        raise StoreError(f"{shown} is {state}: run `bot3 init` to migrate it")
    return False


def upgrade(connection: Connection, *, kind: str, shown: str) -> None:
    """Run the missing migrations inside the caller's transaction."""
    if connection.dialect.name == "postgresql":
        # Two processes may start at once: the second waits for this lock and finds the schema current.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(version_table(kind)))))
        # Migrating a large store may take longer than the default statement timeout.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
    if require_current(connection, kind=kind, shown=shown, read_only=False):
        return
    before = _version(connection, kind=kind)
    from alembic import command  # noqa: PLC0415  # loading Alembic costs more than opening a store
    from alembic.config import Config  # noqa: PLC0415  # loading Alembic costs more than opening a store

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(_MIGRATIONS / kind).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, version_table=version_table(kind))
    command.upgrade(config, "head")
    if before is not None:
        log.info("store_migrated", store=shown, kind=kind, before=before, after=HEADS[kind])


def _version(connection: Connection, *, kind: str) -> str | None:
    table = version_table(kind)
    if not sa.inspect(connection).has_table(table):
        return None
    version: str | None = connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(table))).scalar_one_or_none()
    return version
