"""Alembic's environment: runs the versions on the connection and in the transaction that it is given."""

from __future__ import annotations

from alembic import context


def _run() -> None:
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        # SQLite changes most of a table only by copying it.
        render_as_batch=attributes["connection"].dialect.name == "sqlite",
    )
    context.run_migrations()


_run()
