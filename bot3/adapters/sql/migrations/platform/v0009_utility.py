"""The risk and utility of a row's levels, and whether its trades have a target; unknown in older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0009"
down_revision = "platform_0008"


def upgrade() -> None:
    op.add_column("parameter_rows", sa.Column("has_target", sa.Boolean(), nullable=True))
    for name in ("deviation_move", "worst_move", "notional_ratio", "utility"):
        op.add_column("parameter_rows", sa.Column(name, sa.Double(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
