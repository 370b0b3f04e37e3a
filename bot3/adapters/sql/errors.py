"""Translate the exceptions of database drivers into the errors of `bot3.errors`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot3.errors import StoreBusyError, StoreDamagedError, StoreError, StoreFullError

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY_STATES = {"55P03", "40001", "40P01", "57P01", "57P02", "57P03", "57P05", "53300", "25P03", "57014"}
_CONNECTION_LOST = "08"
"""First two characters of the SQLSTATE codes of connections that failed or were never established."""
_REFUSED_STATES = {"28000", "28P01", "3D000", "42501"}
_REFUSED_TEXTS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied for database",
    "is not currently accepting connections",
)
"""Parts of a server's messages when it rejects a connection; the driver has no SQLSTATE then. A server in another language has others."""


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Raise StoreError or one of its subclasses in place of an exception of a database driver in the block.

    Parameters
    ----------
    shown : str
        Name of the store in messages: a file, or a URL without its password.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreBusyError(f"{shown}: all connections are in use: wait and retry") from error
    except DBAPIError as error:
        # The driver's message may contain row values; its class and code are sufficient for a remedy.
        raise _translation(shown, error) from error


def _translation(shown: str, error: DBAPIError) -> StoreError:
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(shown, error.orig)
    return _of_server(shown, error)


_SQLITE_REMEDIES = {
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: make its directory readable and writable for this user",
    sqlite3.SQLITE_READONLY: "was opened for reading only, or its file is: make it writable for this user",
    sqlite3.SQLITE_IOERR: "cannot be read or written by the disk: check it (`dmesg`, free space), then retry",
}


def _of_sqlite(shown: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return StoreBusyError(f"{shown} is locked by another process: wait and retry, nothing was written")
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(f"{shown}: the disk is full: free space and retry, nothing was written")
    if code in _DAMAGED:
        return StoreDamagedError(
            f"{shown} is not a readable database (damaged or another file): restore a backup, or rename the file to create a new one"
        )
    if "no such table" in str(error) or "no such column" in str(error):
        return StoreError(f"{shown} lacks a table or column ({error}): it is no store of this release; run `bot3 init`")
    return StoreError(f"{shown} {_SQLITE_REMEDIES.get(code, f'failed ({error}): run `bot3 doctor`')}")


_PLAIN_STATES = {
    "25006": "was opened for reading only, or its server is a replica: write to the primary server",
    "42P01": "lacks a table or column (42P01): it is no store of this release; run `bot3 init`",
    "42703": "lacks a table or column (42703): it is no store of this release; run `bot3 init`",
}


def _of_server(shown: str, error: DBAPIError) -> StoreError:
    state = getattr(error.orig, "sqlstate", None)
    if state in _BUSY_STATES:
        return StoreBusyError(f"{shown} is busy ({state}): wait and retry, nothing was written")
    if state == "53100":
        return StoreFullError(f"{shown}: the server's disk is full: free space and retry, nothing was written")
    if state in _REFUSED_STATES or (state is None and any(text in str(error.orig) for text in _REFUSED_TEXTS)):
        return StoreError(f"{shown} rejects this user or database ({state or 'connection'}): check its name, user and password settings")
    if state in _PLAIN_STATES:
        return StoreError(f"{shown} {_PLAIN_STATES[state]}")
    is_lost = state is not None and state.startswith(_CONNECTION_LOST)
    if is_lost or (state is None and isinstance(error, (OperationalError, InterfaceError))):
        return StoreBusyError(f"{shown} cannot be reached: start the server or wait, then retry")
    return StoreError(f"{shown}: the database reported an error ({state}, {type(error.orig).__name__}): run `bot3 doctor`")
