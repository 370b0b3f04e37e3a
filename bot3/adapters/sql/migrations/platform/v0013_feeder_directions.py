"""Feeders and directions whose evidence permits full size; NULL (none) in rows of older releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0013"
down_revision = "platform_0012"


def upgrade() -> None:
    op.add_column("recommendations", sa.Column("open_feeders", sa.String(), nullable=True))
    op.add_column("feeder_scores", sa.Column("open_directions", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
