"""A bot's lease on a real PostgreSQL server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from bot3.adapters.sql.lease import SqlLease
from bot3.errors import AlreadyRunningError, StoreBusyError
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def opened() -> Iterator[Callable[[str], SqlLease]]:
    with ExitStack() as closers:

        def open_it(url: str) -> SqlLease:
            lease = SqlLease.open(url, bot="BOT1")
            closers.callback(lease.close)
            return lease

        yield open_it


def end_sessions(url: str) -> None:
    """End every session that holds a lease, as a restart of the server does."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        holders = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND objsubid = 2"
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 5000) FROM ({holders}) AS held")  # noqa: S608  # a constant


def test_lease_given_a_holder_then_refuses_a_second_and_names_the_process(database: str, opened: Callable[[str], SqlLease]) -> None:
    first = opened(database)

    with pytest.raises(AlreadyRunningError, match=rf"BOT1 is traded by bot3 BOT1 .*/{os.getpid()} .*: stop it first") as caught:
        opened(database)

    assert first.is_held()
    assert caught.value.exit_code == 6


def test_lease_given_the_databases_of_two_bots_then_they_do_not_exclude_each_other(
    postgres: PostgresServer, opened: Callable[[str], SqlLease]
) -> None:
    leases = [opened(postgres.new_database()) for _ in range(2)]

    assert [lease.is_held() for lease in leases] == [True, True]


def test_lease_given_its_holder_closed_it_then_is_free(database: str, opened: Callable[[str], SqlLease]) -> None:
    opened(database).close()

    assert opened(database).is_held()


def test_lease_given_its_connection_was_lost_then_is_not_held_until_it_is_acquired_again(
    database: str, opened: Callable[[str], SqlLease]
) -> None:
    lease = opened(database)

    end_sessions(database)

    assert [lease.is_held(), lease.is_held()] == [False, True]


def test_lease_given_another_acquired_it_after_it_was_lost_then_says_so(database: str, opened: Callable[[str], SqlLease]) -> None:
    lost = opened(database)
    end_sessions(database)
    holder = opened(database)

    assert not lost.is_held()
    with pytest.raises(AlreadyRunningError, match=re.escape("stop it first")):
        lost.is_held()
    assert holder.is_held()


def test_lease_given_the_server_still_has_its_lost_session_then_ends_that_and_acquires_it(
    database: str, opened: Callable[[str], SqlLease]
) -> None:
    lease = opened(database)
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as half_open:
        named = "SELECT application_name FROM pg_stat_activity WHERE starts_with(application_name, 'bot3 BOT1 ')"
        name = half_open.exec_driver_sql(named).scalar_one()
        end_sessions(database)
        # As a connection that the client gave up and the server believes to be alive.
        half_open.execute(sa.text("SELECT set_config('application_name', :name, false), pg_advisory_lock(1651471411, 1)"), {"name": name})

        found = [lease.is_held() for _ in range(3)]

        half_open.invalidate()
    assert found == [False, False, True]


def test_lease_given_a_server_that_is_away_then_cannot_be_opened(postgres: PostgresServer) -> None:
    url = sa.make_url(postgres.new_database()).update_query_dict({"port": "1"}).render_as_string(hide_password=False)

    with pytest.raises(StoreBusyError, match="cannot be reached"):
        SqlLease.open(url, bot="BOT1")
