"""The record's epoch, which a restore begins anew, and when each entry of the outbox was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0005"
down_revision = "platform_0004"

_SQLITE_NOW_US = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"
_SERVER_NOW_US = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_WHEN_WRITTEN, _WHEN_MANY = "NEW.revision <> OLD.revision", "NEW.revision % 4096 = 0"
_FOLD = (
    "UPDATE outbox SET since_revision = (SELECT min(since_revision) FROM outbox), "
    "written_at_us = (SELECT min(written_at_us) FROM outbox) WHERE revision = NEW.revision; "
    "DELETE FROM outbox WHERE revision < NEW.revision"
)


def upgrade() -> None:
    # Empty for a record of before: what it published says no epoch, and stays its own until it is restored.
    op.add_column("record_meta", sa.Column("epoch", sa.String(length=36), nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("written_at_us", sa.BigInteger(), nullable=False, server_default="0"))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    now_us = _SQLITE_NOW_US if is_sqlite else _SERVER_NOW_US
    op.execute(f"UPDATE outbox SET written_at_us = {now_us}")  # noqa: S608  # our own words
    entry = f"INSERT INTO outbox (revision, since_revision, written_at_us) VALUES (NEW.revision, OLD.revision, {now_us})"  # noqa: S608
    replace_trigger = _replace_in_file if is_sqlite else _replace_on_server
    replace_trigger("outbox_of_write", "UPDATE OF revision ON record_meta", when=_WHEN_WRITTEN, then=entry)
    replace_trigger("outbox_of_many", "INSERT ON outbox", when=_WHEN_MANY, then=_FOLD)


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")


def _replace_in_file(name: str, event: str, *, when: str, then: str) -> None:
    op.execute(f"DROP TRIGGER {name}")
    op.execute(f"CREATE TRIGGER {name} AFTER {event} WHEN {when} BEGIN {then}; END")


def _replace_on_server(name: str, _event: str, *, when: str, then: str) -> None:  # noqa: ARG001  # the trigger stays as it is
    op.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {then}; RETURN NULL; END $$")
