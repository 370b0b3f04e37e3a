"""The version of the replays whose outcomes a review folded; unknown in older reviews, whose days are folded again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0007"
down_revision = "platform_0006"


def upgrade() -> None:
    op.add_column("gate_reviews", sa.Column("replay_version", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
