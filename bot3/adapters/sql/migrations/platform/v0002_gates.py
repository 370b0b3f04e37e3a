"""What daily reviews left, and the span of entries that a row rests on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0002"
down_revision = "platform_0001"


def upgrade() -> None:
    op.create_table(
        "gate_reviews",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["parameter_publications.seq"],
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("gate_reviews_known_at", "gate_reviews", ["known_at_us", "seq"], unique=False)
    op.create_table(
        "gate_nodes",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("log_wealth_0", sa.Double(), nullable=False),
        sa.Column("log_wealth_1", sa.Double(), nullable=False),
        sa.Column("log_wealth_2", sa.Double(), nullable=False),
        sa.Column("log_wealth_3", sa.Double(), nullable=False),
        sa.Column("log_wealth_4", sa.Double(), nullable=False),
        sa.Column("log_wealth_5", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["gate_reviews.seq"],
        ),
        sa.PrimaryKeyConstraint("seq", "pair", "direction"),
    )
    op.add_column("parameter_rows", sa.Column("first_entry_us", sa.BigInteger(), nullable=True))
    op.add_column("parameter_rows", sa.Column("last_entry_us", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
