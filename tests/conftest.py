"""Stores for tests: a new SQLite file, or a new database on a PostgreSQL server; an InfluxDB; a Redis. Servers are started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from bot3.adapters.sql.engine import sqlite_url
from tests.servers import influx as influx_server
from tests.servers import redis as redis_server
from tests.servers.influx import InfluxProgram
from tests.servers.postgres import MISSING, PostgresServer, find_program
from tests.servers.redis import RedisServer

NewStore = Callable[[], str]

# No deadline: one example may take long on a loaded machine, and benchmarks measure time, not tests.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
# `pytest --hypothesis-profile=deep` searches with many more examples for an order of events that breaks an invariant.
settings.register_profile("deep", max_examples=2_000, print_blob=True, deadline=None)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Reset the log configuration after each test, because commands under test configure it for the whole process."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """Yield the server of the session; the databases that a test creates are dropped after it."""
    yield postgres_server
    postgres_server.drop_new_databases()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if find_program("initdb") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    if not redis_server.is_available():
        if os.environ.get("CI"):
            pytest.fail(redis_server.MISSING)
        pytest.skip(redis_server.MISSING)
    with RedisServer() as server:
        yield server


_left_out: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that need an InfluxDB if there is none; in continuous integration those tests fail instead."""
    if influx_server.is_available() or os.environ.get("CI"):
        return
    needs = [item for item in items if item.get_closest_marker("influx")]
    _left_out.extend(item.nodeid for item in needs)
    items[:] = [item for item in items if item not in needs]
    config.hook.pytest_deselected(items=needs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line with the number of deselected tests and how to run them."""
    if _left_out:
        terminalreporter.write_line(f"left out {len(_left_out)} tests: {influx_server.MISSING}")


@pytest.fixture(scope="session")
def influx() -> Iterator[InfluxProgram]:
    if not influx_server.is_available():
        pytest.fail(influx_server.MISSING)
    with InfluxProgram() as program:
        yield program


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Return a function that creates an empty store and returns its URL, for each kind of database."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database
    names = (f"store{number}.sqlite" for number in range(1, 100))
    return lambda: sqlite_url(tmp_path / next(names))
