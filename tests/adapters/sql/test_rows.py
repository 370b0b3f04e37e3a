"""Rows as frames: what a driver says while they are fetched is said in our words."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot3.adapters.sql.engine import Database, sqlite_url
from bot3.adapters.sql.rows import read_frame
from bot3.errors import StoreError


def test_read_frame_given_a_driver_that_fails_at_a_later_row_then_names_the_store(tmp_path: Path) -> None:
    with closing(Database.open(sqlite_url(tmp_path / "platform.sqlite"), kind="platform")) as database:
        # Of the least number there is no positive one: SQLite finds that out when it comes to the row.
        rows = sa.union_all(
            sa.select(sa.literal_column("1").label("x")), sa.select(sa.literal_column("-9223372036854775807 - 1"))
        ).subquery()

        with pytest.raises(StoreError, match=r"platform\.sqlite"), database.read() as connection:
            read_frame(connection, sa.select(sa.func.abs(rows.c.x).label("x")))
