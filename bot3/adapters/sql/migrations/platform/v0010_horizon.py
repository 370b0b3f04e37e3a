"""The horizon of each trade; the bots' trades are read again from their sources, which state it or from which it is computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0010"
down_revision = "platform_0009"


def upgrade() -> None:
    op.add_column("synced_trades", sa.Column("horizon", sa.String(), nullable=True))
    # Marks the rows as outdated: the next sync reads every source in full.
    op.execute("UPDATE synced_trades SET order_pattern = NULL")


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
