"""Margin accounts and open trades replace the wealth of bettors; every counted day is counted again from its first review."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0011"
down_revision = "platform_0010"


def _key(name: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["gate_reviews.seq"]),
        sa.PrimaryKeyConstraint("seq", *name.split()),
    ]


def _doubles(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def upgrade() -> None:
    cash = ("cash_0", "cash_1", "cash_2")
    op.create_table(
        "gate_accounts", *_key("name direction"), *_texts("name", "direction"), *_counts("number"), *_doubles("start", "shortfall", *cash)
    )
    op.create_table(
        "gate_bets",
        *_key("place"),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        *_texts("name", "direction"),
        *_counts("opened_us", "ended_us"),
        *_doubles("net", "worst", "stake_0", "stake_1", "stake_2"),
    )
    op.drop_table("gate_nodes")
    # A bettor's wealth cannot become an account's cash. A ledger without a version is computed again from the replays since the first day.
    op.execute("UPDATE gate_reviews SET replay_version = NULL")


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
