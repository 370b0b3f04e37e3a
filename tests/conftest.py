"""Stores for tests: a new SQLite file, or a new database on a PostgreSQL server; an InfluxDB; a Redis. Servers are started once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from bot3.adapters.sql.engine import sqlite_url
from tests.memory_directory import memory_directory
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


_memory: list[Path] = []


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary files in memory, unless TMPDIR names a directory; the workers of pytest-xdist inherit it."""
    if hasattr(config, "workerinput") or "TMPDIR" in os.environ:
        return
    directory = memory_directory()
    if directory is not None:
        _memory.append(directory)
        os.environ["TMPDIR"] = tempfile.tempdir = str(directory)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Remove the temporary files; after a failure they remain until the next run."""
    if exitstatus == 0:
        for directory in _memory:
            shutil.rmtree(directory, ignore_errors=True)


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


_SERVERS = {"postgres", "influx", "redis", "browser"}
_left_out: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that cannot run here, and run slow files first: at the end, short ones keep all processes of pytest-xdist busy."""
    _deselect_influx(config, items)
    marks: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        marks[item.path].update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: ("slow" not in marks[item.path], not _SERVERS & marks[item.path]))


def _deselect_influx(config: pytest.Config, items: list[pytest.Item]) -> None:
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
