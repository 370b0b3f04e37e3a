"""The kind of error that each code of SQLite and each state of a PostgreSQL server becomes."""

from __future__ import annotations

import sqlite3

import psycopg.errors
import pytest
import sqlalchemy as sa

from bot3.adapters.sql.errors import translated
from bot3.errors import StoreBusyError, StoreDamagedError, StoreError, StoreFullError


def error_of(state: str) -> StoreError:
    """Return what a statement raises that the server refuses with a state."""
    cause = psycopg.errors.lookup(state)("the server's own text")
    with pytest.raises(StoreError) as caught, translated("postgresql://host/name"):
        raise sa.exc.OperationalError("SELECT 1", {}, cause)
    return caught.value


@pytest.mark.parametrize("state", ["57P01", "57P03", "57P05", "53300", "40001", "55P03", "57014"])
def test_translated_given_a_server_that_ends_or_puts_off_a_statement_then_says_retry(state: str) -> None:
    error = error_of(state)

    assert isinstance(error, StoreBusyError)
    assert f"is busy ({state})" in str(error)


@pytest.mark.parametrize("state", ["08000", "08001", "08003", "08006", "08P01"])
def test_translated_given_a_connection_that_failed_then_says_that_the_server_is_not_reached(state: str) -> None:
    error = error_of(state)

    assert isinstance(error, StoreBusyError)
    assert "cannot be reached" in str(error)


def test_translated_given_a_full_disk_then_is_full() -> None:
    assert isinstance(error_of("53100"), StoreFullError)


@pytest.mark.parametrize("state", ["28P01", "3D000", "42P01", "22003"])
def test_translated_given_what_a_retry_does_not_mend_then_is_not_busy(state: str) -> None:
    assert type(error_of(state)) is StoreError


def test_translated_given_a_write_in_a_session_for_reading_then_says_that_it_is_read_only() -> None:
    error = error_of("25006")

    assert type(error) is StoreError
    assert "reading only" in str(error)


def sqlite_error_of(code: int | None, *, text: str = "the driver's own text") -> StoreError:
    """Return what a statement raises that SQLite refuses with a code."""
    cause = sqlite3.OperationalError(text)
    if code is not None:
        cause.sqlite_errorcode = code
    with pytest.raises(StoreError) as caught, translated("home/platform.sqlite"):
        raise sa.exc.OperationalError("SELECT 1", {}, cause)
    assert str(caught.value).startswith("home/platform.sqlite")
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusyError, "is locked by another process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusyError, "is locked by another process"),
        (sqlite3.SQLITE_LOCKED, StoreBusyError, "is locked by another process"),
        (sqlite3.SQLITE_PROTOCOL, StoreBusyError, "is locked by another process"),
        (sqlite3.SQLITE_FULL, StoreFullError, "disk is full"),
        (sqlite3.SQLITE_CORRUPT, StoreDamagedError, "is not a readable database"),
        (sqlite3.SQLITE_NOTADB, StoreDamagedError, "is not a readable database"),
        (sqlite3.SQLITE_FORMAT, StoreDamagedError, "is not a readable database"),
        (sqlite3.SQLITE_CANTOPEN, StoreError, "cannot be opened"),
        (sqlite3.SQLITE_READONLY, StoreError, "opened for reading only"),
        (sqlite3.SQLITE_IOERR_READ, StoreError, "cannot be read or written by the disk"),
        (sqlite3.SQLITE_ERROR, StoreError, "failed (the driver's own text)"),
        (None, StoreError, "failed (the driver's own text)"),
    ],
)
def test_translated_given_a_code_of_sqlite_then_is_the_error_that_names_its_remedy(code: int, kind: type[StoreError], text: str) -> None:
    error = sqlite_error_of(code)

    assert type(error) is kind
    assert text in str(error)


@pytest.mark.parametrize("text", ["no such table: trades", "no such column: pair"])
def test_translated_given_a_missing_table_or_column_then_says_that_it_is_no_store(text: str) -> None:
    assert "is no store of this release" in str(sqlite_error_of(sqlite3.SQLITE_ERROR, text=text))


def test_translated_given_all_connections_in_use_then_says_retry() -> None:
    with pytest.raises(StoreBusyError, match="all connections are in use"), translated("home/platform.sqlite"):
        raise sa.exc.TimeoutError


@pytest.mark.parametrize(
    ("kind", "is_busy"), [(sa.exc.OperationalError, True), (sa.exc.InterfaceError, True), (sa.exc.ProgrammingError, False)]
)
def test_translated_given_an_error_without_a_state_then_only_that_of_a_connection_says_retry(
    kind: type[sa.exc.DBAPIError], is_busy: bool
) -> None:
    with pytest.raises(StoreError) as caught, translated("postgresql://host/name"):
        raise kind("SELECT 1", {}, psycopg.Error("no connection"))

    assert isinstance(caught.value, StoreBusyError) is is_busy
    assert ("cannot be reached" in str(caught.value)) is is_busy


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  password authentication failed for user "bot1"',
        'FATAL:  database "bot9" does not exist',
        'FATAL:  role "nobody" does not exist',
        'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "bot1", database "bot1", no encryption',
        'FATAL:  role "bot1" is not permitted to log in',
        'FATAL:  permission denied for database "bot1"',
        'FATAL:  database "template0" is not currently accepting connections',
    ],
)
def test_translated_given_a_connection_that_is_refused_without_a_state_then_no_retry_is_suggested(text: str) -> None:
    with pytest.raises(StoreError, match="rejects this user or database") as caught, translated("postgresql://host/name"):
        raise sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError(text))

    assert not isinstance(caught.value, StoreBusyError)


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is in recovery mode",
        "FATAL:  sorry, too many clients already",
        "connection to server failed: Connection refused",
    ],
)
def test_translated_given_a_server_that_is_not_ready_then_says_retry(text: str) -> None:
    with pytest.raises(StoreBusyError), translated("postgresql://host/name"):
        raise sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError(text))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("28000", "rejects this user or database (28000)"),
        ("42501", "rejects this user or database (42501)"),
        ("42P01", "is no store of this release"),
        ("42703", "is no store of this release"),
        ("22003", "reported an error (22003, NumericValueOutOfRange)"),
    ],
)
def test_translated_given_a_state_of_a_server_then_names_its_remedy(state: str, text: str) -> None:
    assert text in str(error_of(state))
