"""Stores for tests: a fresh SQLite file, or a fresh database on a PostgreSQL server; an InfluxDB. Servers are started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot3.adapters.sql_engine import sqlite_url
from tests.servers import influx as influx_server
from tests.servers.influx import InfluxProgram
from tests.servers.postgres import MISSING, PostgresServer, find_program

NewStore = Callable[[], str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if find_program("initdb") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def influx() -> Iterator[InfluxProgram]:
    if not influx_server.is_available():
        if os.environ.get("CI"):
            pytest.fail(influx_server.MISSING)
        pytest.skip(influx_server.MISSING)
    with InfluxProgram() as program:
        yield program


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Return what makes the URL of an empty store, on each kind of database."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database
    names = (f"store{number}.sqlite" for number in range(1, 100))
    return lambda: sqlite_url(tmp_path / next(names))
