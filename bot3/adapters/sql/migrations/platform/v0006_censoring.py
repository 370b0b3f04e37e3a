"""The closes that a row's evidence lacks, and whether its pair and direction may not trade because of them; unknown in older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0006"
down_revision = "platform_0005"


def upgrade() -> None:
    op.add_column("parameter_rows", sa.Column("left_out_count", sa.BigInteger(), nullable=True))
    op.add_column("parameter_rows", sa.Column("late_count", sa.BigInteger(), nullable=True))
    op.add_column("parameter_rows", sa.Column("is_censored", sa.Boolean(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
