"""Define the tables of the control store. Instants are whole microseconds since 1970 in UTC (`*_us`)."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("process", sa.String, primary_key=True),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at_us", sa.BigInteger, nullable=False),
    sa.Column("wall_at_us", sa.BigInteger, nullable=False),
    sa.Column("market_at_us", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

clock_anchor = sa.Table(
    "clock_anchor",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("wall_at_us", sa.BigInteger, nullable=False),
    sa.Column("market_at_us", sa.BigInteger, nullable=False),
    sa.Column("speed", sa.Double, nullable=False),
    sa.Column("is_running", sa.Boolean, nullable=False),
    sa.Column("ends_at_us", sa.BigInteger),
)

trading_states = sa.Table(
    "trading_states",
    metadata,
    sa.Column("bot", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("bot", sa.String, nullable=False),
    sa.Column("command", sa.String, nullable=False),
    sa.Column("argument", sa.Text, nullable=False),
    sa.Column("issued_by", sa.String, nullable=False),
    sa.Column("issued_at_us", sa.BigInteger, nullable=False),
    sa.Column("taken_at_us", sa.BigInteger),
    sa.Column("finished_at_us", sa.BigInteger),
    sa.Column("result", sa.Text),
    sa.Index("commands_waiting", "bot", "taken_at_us"),
)

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
