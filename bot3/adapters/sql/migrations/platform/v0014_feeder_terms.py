"""What a feeder's forecasts rest on and its thresholds by direction, unknown in older rows; log losses may be unknown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0014"
down_revision = "platform_0013"


def upgrade() -> None:
    # SQLite cannot make a column nullable, and the log losses of the models before were those of another prediction.
    for name in ("log_loss_oof", "base_log_loss_oof", "threshold"):
        op.drop_column("model_registry", name)
    for name in ("log_loss_oof", "base_log_loss_oof", "long_threshold", "short_threshold"):
        op.add_column("model_registry", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("model_registry", sa.Column("information", sa.String(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
