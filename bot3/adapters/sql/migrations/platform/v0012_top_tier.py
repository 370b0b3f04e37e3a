"""The tier of the top feeders of a recommendation; NULL in those of older releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0012"
down_revision = "platform_0011"


def upgrade() -> None:
    op.add_column("recommendations", sa.Column("top_tier", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
