"""Stores for tests: a fresh SQLite file, or a fresh database on a PostgreSQL server that is started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from bot3.adapters.sql_engine import sqlite_url
from tests.servers.postgres import MISSING, PostgresServer, find_program

NewStore = Callable[[], str]


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Take back what a command under test said about logs of its process: this process is the tests'."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if find_program("initdb") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Return what makes the URL of an empty store, on each kind of database."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database
    names = (f"store{number}.sqlite" for number in range(1, 100))
    return lambda: sqlite_url(tmp_path / next(names))
