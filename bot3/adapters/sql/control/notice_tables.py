"""Define the tables of the control store for notices and for last reported states. Instants (`*_us`) are microseconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa

from bot3.adapters.sql.control.tables import metadata

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("lines", sa.Text, nullable=False),
    sa.Column("is_silent", sa.Boolean, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_at_us", sa.BigInteger, nullable=False),
    sa.Column("last_at_us", sa.BigInteger, nullable=False),
    sa.Column("due_at_us", sa.BigInteger, nullable=False),
    sa.Column("held_until_us", sa.BigInteger, nullable=False),
    sa.Column("closed_at_us", sa.BigInteger),
    sa.Column("refused", sa.Text),
    sa.Index("notices_waiting", "closed_at_us", "due_at_us"),
    sa.Index("notices_key", "key", "closed_at_us"),
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
