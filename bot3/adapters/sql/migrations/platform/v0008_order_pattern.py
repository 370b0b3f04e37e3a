"""How many orders made a trade; NULL until the trade is read again from its source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0008"
down_revision = "platform_0007"


def upgrade() -> None:
    op.add_column("synced_trades", sa.Column("order_pattern", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
