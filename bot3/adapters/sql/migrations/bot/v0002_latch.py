"""A bot's latch and what its losses are counted from, in its own journal; a day's loss was a bookmark before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "bot_0002"
down_revision = "bot_0001"

_BOOKMARK = "entries_latched_until"


def upgrade() -> None:
    table = op.create_table(
        "risk_latch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=25), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("day_start_abs", sa.Double(), nullable=True),
        sa.Column("peak_abs", sa.Double(), nullable=True),
        sa.Column("reducing_until", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    bookmarks = sa.table("bookmarks", sa.column("name"), sa.column("account"), sa.column("at_us"))
    connection = op.get_bind()
    kept = connection.execute(sa.select(bookmarks).where(bookmarks.c.name == _BOOKMARK)).one_or_none()
    if kept is None:
        return
    until = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(kept.at_us))
    # The latch itself and the marks are still in the control store: the daemon brings them here at its next start.
    op.bulk_insert(table, [{"id": 1, "account": kept.account, "state": "active", "reason": "", "reducing_until": until.isoformat()}])
    connection.execute(sa.delete(bookmarks).where(bookmarks.c.name == _BOOKMARK))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
