"""The horizon of each trade; every trade of an earlier release had one of 24 h."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "bot_0003"
down_revision = "bot_0002"


def upgrade() -> None:
    op.add_column("trades", sa.Column("horizon", sa.String(length=3), nullable=True))
    op.execute("UPDATE trades SET horizon = '24h'")


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
