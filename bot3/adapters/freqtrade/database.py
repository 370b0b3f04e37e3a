"""Open a freqtrade database for reading only: it is never migrated and never written."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Self
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from bot3.adapters.sql.errors import translated
from bot3.adapters.sql.urls import parsed_url, schema_of, server_url, shown_url
from bot3.errors import SettingsError, StoreBusyError, StoreError

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_TABLES = ("trades", "orders")
_MYSQL = {"mysql", "mariadb"}
_HEADER_BYTES = 20
_WAL_VERSIONS = b"\x02\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingFile:
    """A SQLite database in WAL mode that no process has open: its write-ahead log is missing or empty, so the file contains all rows.

    To read it, SQLite would create a log and the log's index and leave them there. It can be read as immutable instead, without locks. A
    process that opens it meanwhile creates a log before it changes the file: if there is one afterwards, the rows may be inconsistent.
    """

    path: Path
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the file if no process has it open; None if one has, or it is not in WAL mode (reading then creates no file)."""
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if header[18:20] != _WAL_VERSIONS or _is_open(path):
            return None
        return cls(path=path, stamp=_stamp(path))

    def require_unchanged(self) -> None:
        """Raise StoreBusyError if a process opened the file since: what was read may be inconsistent."""
        if _is_open(self.path) or _stamp(self.path) != self.stamp:
            raise StoreBusyError(f"{self.path} was opened by its bot while it was read: run it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """A copy of a SQLite database and of its write-ahead log, for a single read, in a temporary directory.

    To read a log, SQLite needs an index beside it, which it cannot create in a directory without write permission (a read-only mount). If
    the file were read as immutable instead, the rows in the log, which are the newest trades, would be missing.
    """

    path: Path
    directory: tempfile.TemporaryDirectory[str]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Copy a database that no process has open.

        Raises
        ------
        StoreBusyError
            If the database changed while it was copied.
        """
        files = (path, _log_of(path))
        stamps = [_stamp(file) for file in files]
        directory = tempfile.TemporaryDirectory(prefix="bot3-")
        for file in files:
            shutil.copyfile(file, Path(directory.name) / file.name)
        if _index_of(path).exists() or [_stamp(file) for file in files] != stamps:
            directory.cleanup()
            raise StoreBusyError(f"{path} was opened by its bot while it was read: run it again")
        return cls(path=Path(directory.name) / path.name, directory=directory)


def is_stranded(path: Path) -> bool:
    """Return whether a database has a log with rows that SQLite cannot read there: its index is missing, and cannot be created."""
    log = _log_of(path)
    return log.exists() and log.stat().st_size > 0 and not _index_of(path).exists() and not os.access(path.parent, os.W_OK)


def read_only_address(path: Path, *, is_immutable: bool) -> str:
    """Return SQLite's URI of a file for reading only."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return f"{address}&immutable=1" if is_immutable else address


@dataclass(frozen=True, slots=True, kw_only=True)
class FreqtradeDatabase:
    """Connections to one freqtrade database for reading only; every `read` sees one snapshot.

    Parameters
    ----------
    shown : str
        Name in messages: the file, or the URL without its password.
    columns : mapping
        Existing columns of `trades`, and of `orders` (none if the table is missing).
    texts : mapping
        Those of the columns that are declared as texts: SQL compares numbers in them character by character.
    resting : RestingFile or None
        A SQLite file that no process had open and that is read as immutable: every `read` verifies that it has not changed.
    copied : CopiedFile or None
        A copy that is read instead of a SQLite file whose write-ahead log cannot be read in its directory; `close` removes it.
    """

    engine: Engine
    shown: str
    is_sqlite: bool
    columns: Mapping[str, frozenset[str]]
    texts: Mapping[str, frozenset[str]]
    resting: RestingFile | None = None
    copied: CopiedFile | None = None
    probe_lock: Lock = field(default_factory=Lock)
    probe: list[Connection] = field(default_factory=list)
    nonce: str = field(default_factory=lambda: secrets.token_hex(4))

    @classmethod
    def open(cls, address: str, *, busy_timeout_s: float = 5.0, leaves_no_trace: bool = False) -> Self:
        """Open a database.

        Parameters
        ----------
        address : str
            Path of a SQLite file, or a URL ("sqlite:///tradesv3.sqlite", "postgresql://user@host/name").
        leaves_no_trace : bool
            Create no file beside a SQLite database that no process has open (read it as immutable, or a copy of it): for a single read,
            since later changes are not detected.

        Raises
        ------
        SettingsError
            If the address is neither a path nor a supported URL.
        StoreError
            If the database does not exist, cannot be read, is damaged, or has no table `trades`.
        StoreBusyError
            If the database is locked or cannot be reached.
        """
        url = _parsed(address)
        is_sqlite = url.get_backend_name() == "sqlite"
        shown = str(url.database) if is_sqlite else shown_url(url)
        resting = copied = None
        if is_sqlite:
            path = Path(shown)
            with _file_errors(shown):
                resting = RestingFile.of(path) if leaves_no_trace else None
                copied = _copied(path, leaves_no_trace=leaves_no_trace)
            address = read_only_address(copied.path if copied else path, is_immutable=resting is not None)
            engine = _sqlite_engine(address, busy_timeout_s)
        else:
            engine = _server_engine(url, busy_timeout_s)
        try:
            with _snapshot(engine, shown) as connection:
                if not is_sqlite:
                    _require_schema(connection, url, shown)
                columns = _columns(connection, shown)
                texts = {name: _texts_of(connection, name) if columns[name] else frozenset() for name in _TABLES}
        except BaseException:
            engine.dispose()
            if copied is not None:
                copied.directory.cleanup()
            raise
        return cls(engine=engine, shown=shown, is_sqlite=is_sqlite, columns=columns, texts=texts, resting=resting, copied=copied)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that reads one snapshot of the database.

        Raises StoreBusyError at the end of the block if a file is read as immutable and a process has opened it since.
        """
        with _snapshot(self.engine, self.shown) as connection:
            yield connection
        if self.resting is not None:
            with _file_errors(self.shown):
                self.resting.require_unchanged()

    def change_token(self) -> str:
        """Return a token that differs after every commit to the database by another program; this platform only reads it.

        On PostgreSQL the token is the current snapshot, which needs no permission except to connect. It may also change without a commit
        to this database, as by one to another database of the server.
        """
        query = "PRAGMA data_version" if self.is_sqlite else "SELECT pg_current_snapshot()::text"
        with self.probe_lock, _readable(self.shown):
            if not self.probe:
                self.probe.append(self.engine.connect())
            with self.probe[0].begin():
                return f"{self.nonce}.{self.probe[0].exec_driver_sql(query).scalar_one()}"

    def close(self) -> None:
        """Close every connection."""
        with self.probe_lock:
            while self.probe:
                self.probe.pop().close()
        self.engine.dispose()
        if self.copied is not None:
            self.copied.directory.cleanup()


def _copied(path: Path, *, leaves_no_trace: bool) -> CopiedFile | None:
    if not is_stranded(path):
        return None
    if not leaves_no_trace:
        raise StoreError(
            f"{path} has a log ({path.name}-wal) whose rows SQLite cannot read in a directory without write permission: make the directory "
            f"writable, or start the bot once; `bot3 audit` and `bot3 import` read a copy"
        )
    return CopiedFile.of(path)


def _parsed(address: str) -> URL:
    if "://" not in address:
        return _file(Path(address))
    url = parsed_url(address)
    # Compare the part before the driver, which SQLAlchemy may not know: freqtrade's users write psycopg2, which is not installed here.
    backend = url.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return server_url(url)
    if backend in _MYSQL:
        raise SettingsError(
            f"{shown_url(url)} is a {backend} database, but only SQLite and PostgreSQL are supported: copy it with "
            f"`freqtrade convert-db --db-url-from {shown_url(url)} --db-url sqlite:///copy.sqlite` and name copy.sqlite"
        )
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise SettingsError(
            f"a freqtrade database is read from SQLite or PostgreSQL, not from {shown_url(url)}: `freqtrade convert-db` copies it to SQLite"
        )
    return _file(Path(url.database))


def _file(path: Path) -> URL:
    if not path.exists():
        raise StoreError(
            f"{path} does not exist: name freqtrade's database (its setting db_url; tradesv3.sqlite, a dry run's tradesv3.dryrun.sqlite, "
            f"in its working directory{_beside(path)})"
        )
    if not path.is_file():
        raise StoreError(f"{path} is not a file: name freqtrade's database in it, such as tradesv3.sqlite")
    return URL.create("sqlite", database=str(path))


def _beside(path: Path) -> str:
    found = sorted(other.name for pattern in ("*.sqlite", "*.sqlite3", "*.db") for other in path.parent.glob(pattern))
    return f"; beside it: {', '.join(found[:5])}" if found else ""


@contextmanager
def _file_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{shown} cannot be read ({error.strerror}): give this user read permission") from error


def _sqlite_engine(address: str, busy_timeout_s: float) -> Engine:
    def connect() -> sqlite3.Connection:
        # The driver must not manage transactions: the `begin` listener below executes BEGIN.
        return sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)

    @event.listens_for(engine, "connect")
    def _on_connect(driver: Any, _record: Any) -> None:
        driver.execute("PRAGMA query_only = ON").close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _server_engine(url: URL, busy_timeout_s: float) -> Engine:
    from bot3.adapters.sql.server import server_engine  # noqa: PLC0415  # most bots use SQLite files

    session: dict[str, str | int] = {"timezone": "UTC", "lock_timeout": round(busy_timeout_s * 1000), "default_transaction_read_only": "on"}
    return server_engine(url, session=session, connect_timeout_s=busy_timeout_s, pool_pre_ping=True, isolation_level="REPEATABLE READ")


@contextmanager
def _snapshot(engine: Engine, shown: str) -> Iterator[Connection]:
    with _readable(shown), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _readable(shown: str) -> Iterator[None]:
    """Raise StoreError or a subclass in place of a driver's exception, with remedies for a database that another program owns."""
    try:
        with translated(shown):
            yield
    except StoreError as error:
        if not _is_damaged(error.__cause__):
            raise
        raise StoreError(
            f"{shown} is no readable SQLite database (damaged, or another kind of file): name freqtrade's own, or restore a backup of it"
        ) from error


def _is_damaged(cause: BaseException | None) -> bool:
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _require_schema(connection: Connection, url: URL, shown: str) -> None:
    """Raise StoreError if the schema in the address is missing: PostgreSQL would use the next one of the search path, another bot's."""
    wanted, found = schema_of(url), connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    if wanted is not None and wanted != found:
        raise StoreError(f"{shown}: there is no schema {wanted!r} that this user may use{_schemas_with_trades(connection)}")


def _schemas_with_trades(connection: Connection) -> str:
    names = connection.exec_driver_sql("SELECT schemaname FROM pg_tables WHERE tablename = 'trades' ORDER BY 1").scalars().all()
    if not names:
        return ""
    return f": a table `trades` is in {', '.join(names)}; name the bot's with ?options=-csearch_path%3D{names[0]}"


def _columns(connection: Connection, shown: str) -> dict[str, frozenset[str]]:
    tables = sa.inspect(connection).get_table_names()
    if "trades" not in tables:
        # Freqtrade's migrations leave trades_bak0 and similar tables: old copies, never the current trades.
        found = ", ".join(sorted(tables)[:8]) or "none"
        elsewhere = _schemas_with_trades(connection) if connection.dialect.name == "postgresql" else ""
        remedy = elsewhere or "; name the bot's own database"
        raise StoreError(f"{shown} is no freqtrade database: it has no table `trades` (tables: {found}){remedy}")
    return {name: _columns_of(connection, name) if name in tables else frozenset() for name in _TABLES}


def _columns_of(connection: Connection, name: str) -> frozenset[str]:
    query: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(sa.table(name)).limit(0)
    return frozenset(connection.execute(query).keys())


def _texts_of(connection: Connection, name: str) -> frozenset[str]:
    return frozenset(column["name"] for column in sa.inspect(connection).get_columns(name) if isinstance(column["type"], sa.String))


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _is_open(path: Path) -> bool:
    """Return whether a process may have a database open: the index of its log exists, or a log that contains rows."""
    log = _log_of(path)
    return _index_of(path).exists() or (log.exists() and log.stat().st_size > 0)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
