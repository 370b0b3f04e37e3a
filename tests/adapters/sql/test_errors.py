"""Which kind of error each state of a PostgreSQL server becomes."""

from __future__ import annotations

import psycopg.errors
import pytest
import sqlalchemy as sa

from bot3.adapters.sql.errors import translated
from bot3.errors import StoreBusyError, StoreError, StoreFullError


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
