"""The leverage bins that a recommendation opens; rows written before hold their leverage range alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0004"
down_revision = "platform_0003"


def upgrade() -> None:
    op.add_column("recommendations", sa.Column("open_bins", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
