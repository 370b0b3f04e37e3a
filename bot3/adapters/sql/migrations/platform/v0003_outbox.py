"""The outbox: every write to the record leaves an entry, in its own transaction, whoever writes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0003"
down_revision = "platform_0002"

_POINT = ("bot", "run_mode", "trade_id", "close_date_us", "pair", "direction", "leverage_bin", "feeder_id")
_NULLABLE = ("enter_tag", "exit_reason", "min_rate", "max_rate", "initial_stop_loss_pct", "stop_loss_pct", "liquidation_price")

_ENTRY = "INSERT INTO outbox (revision, since_revision) VALUES (NEW.revision, OLD.revision)"
_GONE = (
    f"INSERT INTO outbox_gone ({', '.join(_POINT)}, revision) "  # noqa: S608
    f"VALUES ({', '.join(f'OLD.{name}' for name in _POINT)}, NEW.revision)"
)
# A trade that moved, was deleted or lost a value: a copy keeps the old one until it is told.
_MOVED = " OR ".join(f"OLD.{name} <> NEW.{name}" for name in _POINT)
_EMPTIED = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} IS NULL)" for name in _NULLABLE)
_WHEN_GONE = f"NOT OLD.deleted AND (NEW.deleted OR {_MOVED} OR {_EMPTIED})"
_WHEN_WRITTEN = "NEW.revision <> OLD.revision"
# Where nobody publishes, entries must not pile up: now and then one takes the place of all before it.
_FOLD = (
    "UPDATE outbox SET since_revision = (SELECT min(since_revision) FROM outbox) WHERE revision = NEW.revision; "
    "DELETE FROM outbox WHERE revision < NEW.revision"
)
_WHEN_MANY = "NEW.revision % 4096 = 0"


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since_revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.create_table(
        "outbox_gone",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("run_mode", sa.String(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.Column("close_date_us", sa.BigInteger(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("leverage_bin", sa.String(), nullable=False),
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("outbox_gone_revision", "outbox_gone", ["revision"], unique=False)
    # What was written before there was an outbox waits too.
    op.execute("INSERT INTO outbox (revision, since_revision) SELECT revision, 0 FROM record_meta WHERE revision > 0")
    add_trigger = _sqlite_trigger if op.get_bind().dialect.name == "sqlite" else _server_trigger
    add_trigger("outbox_of_write", "UPDATE OF revision ON record_meta", when=_WHEN_WRITTEN, then=_ENTRY)
    add_trigger("outbox_of_gone_trade", "UPDATE ON synced_trades", when=_WHEN_GONE, then=_GONE)
    add_trigger("outbox_of_many", "INSERT ON outbox", when=_WHEN_MANY, then=_FOLD)


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")


def _sqlite_trigger(name: str, event: str, *, when: str, then: str) -> None:
    op.execute(f"CREATE TRIGGER {name} AFTER {event} WHEN {when} BEGIN {then}; END")


def _server_trigger(name: str, event: str, *, when: str, then: str) -> None:
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {then}; RETURN NULL; END $$")
    op.execute(f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()")
