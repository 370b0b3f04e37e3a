"""Open the platform's databases: engines, pragmas, transactions, and the token that changes with every commit to a SQLite file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine

from bot3.adapters.sql.errors import translated
from bot3.adapters.sql.file import StoreFile
from bot3.adapters.sql.schema_versions import require_current, upgrade
from bot3.adapters.sql.urls import parsed_url, server_url, shown_url
from bot3.errors import SettingsError, StoreBusyError, StoreDamagedError, StoreError

StoreKind = Literal["bot", "platform", "control"]

# A bot's store must be complete after a power failure: an order that was sent but is not stored can lose money. The last commits to the
# other stores may be lost then.
_SYNCHRONOUS: dict[StoreKind, str] = {"bot": "FULL", "platform": "NORMAL", "control": "NORMAL"}
_IMMEDIATE = "bot3_immediate"

log = structlog.get_logger()


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def migrate(url: str, kind: StoreKind) -> None:
    """Create a store's tables, or migrate them to this release's schema.

    Raises
    ------
    StoreError
        If the store was written by a newer release, is damaged, or cannot be written.
    """
    Database.open(url, kind=kind).close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database: `write` is one transaction (on SQLite with the write lock from its start), `read` is one snapshot.

    Parameters
    ----------
    shown : str
        Name in messages: the file, or the URL without its password.
    file : StoreFile or None
        The file of a SQLite store; None on PostgreSQL.
    is_rebuilt : bool
        Whether a SQLite file that was deleted or is damaged is created again, empty: true for the control store when it is opened for
        writing, because processes write its contents again. Any other store that is deleted while it is open raises StoreError from then
        on: writes would be lost.
    """

    engine: Engine
    kind: StoreKind
    shown: str
    is_sqlite: bool
    file: StoreFile | None
    is_rebuilt: bool
    probe_lock: Lock
    probe: list[Connection]
    nonce: str

    @classmethod
    def open(cls, url: str, *, kind: StoreKind, read_only: bool = False, busy_timeout_s: float = 5.0) -> Self:
        """Open a database and migrate its schema to this release; with `read_only` it must exist and be current.

        Raises
        ------
        SettingsError
            If the URL names neither a SQLite file nor a PostgreSQL database.
        StoreError
            If the database cannot be opened, is damaged, or was written by a newer release; with `read_only` also if it is missing or has
            an older schema.
        """
        parsed = _parsed(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        shown = str(parsed.database) if is_sqlite else shown_url(parsed)
        if is_sqlite:
            _require_file(Path(str(parsed.database)), shown=shown, read_only=read_only)
        build = _sqlite_engine if is_sqlite else _server_engine
        engine = build(parsed, kind=kind, read_only=read_only, busy_timeout_s=busy_timeout_s)
        nonce = secrets.token_hex(4)
        database = cls(
            engine=engine,
            kind=kind,
            shown=shown,
            is_sqlite=is_sqlite,
            file=StoreFile(Path(str(parsed.database))) if is_sqlite else None,
            is_rebuilt=kind == "control" and not read_only,
            probe_lock=Lock(),
            probe=[],
            nonce=nonce,
        )
        try:
            database.prepare(read_only=read_only)
        except _SetAsideError:
            database.prepare(read_only=read_only)
        except BaseException:
            engine.dispose()
            raise
        return database

    def prepare(self, *, read_only: bool) -> None:
        """Migrate the schema to this release, or require that it is current."""
        if self.file is not None:
            self.file.remember()
        with self.read() as connection:
            current = require_current(connection, kind=self.kind, shown=self.shown, read_only=read_only)
        if not current:
            with self.write() as connection:
                upgrade(connection, kind=self.kind, shown=self.shown)
        if self.file is not None:
            self.file.remember()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one transaction, which is committed as a whole at the end, or rolled back if the block raises."""
        with self._same_file(), translated(self.shown), self.engine.connect() as plain:
            connection = plain.execution_options(**{_IMMEDIATE: True})
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that reads one snapshot of the database."""
        with self._same_file(), translated(self.shown), self.engine.connect() as connection, connection.begin():
            yield connection

    def data_version(self) -> str:
        """Return a token that differs after every commit that changed a SQLite file, by this process or another."""
        with self._same_file(), self.probe_lock, translated(self.shown):
            if not self.probe:
                self.probe.append(self.engine.connect())
            with self.probe[0].begin():
                return f"{self.nonce}.{self.probe[0].exec_driver_sql('PRAGMA data_version').scalar_one()}"

    def close(self) -> None:
        """Close every connection."""
        with self.probe_lock:
            while self.probe:
                self.probe.pop().close()
        self.engine.dispose()

    @contextmanager
    def _same_file(self) -> Iterator[None]:
        """Require that the opened SQLite file is still at its path; otherwise raise StoreError, but open a control store again.

        A damaged control store that was opened for writing is renamed, and StoreBusyError is raised: the next call creates a new one.
        """
        if self.file is not None and not self.file.is_same:
            self._reopen(self.file)
        try:
            yield
        except StoreDamagedError as error:
            if not self.is_rebuilt or self.file is None:
                raise
            self.engine.dispose()
            aside = self.file.set_aside()
            if aside is None:
                raise _SetAsideError(f"{self.shown} was damaged, and another process replaced it: retry") from error
            log.error("store_set_aside", store=self.shown, aside=str(aside), error=str(error))  # noqa: TRY400
            raise _SetAsideError(f"{self.shown} was damaged: it was moved to {aside} and is created again, retry") from error

    def _reopen(self, file: StoreFile) -> None:
        self.engine.dispose()
        if self.kind != "control":
            raise StoreError(f"{self.shown} was deleted or replaced while it was open: restore it, then restart this process")
        if not self.is_rebuilt and not file.is_there:
            raise StoreBusyError(f"{self.shown} was deleted: a running execution daemon creates it again, otherwise run `bot3 init`")
        log.warning("store_opened_again", store=self.shown, is_new=not file.is_there)
        file.forget()
        try:
            self.prepare(read_only=not self.is_rebuilt)
        except BaseException:
            file.distrust()
            raise


class _SetAsideError(StoreBusyError):
    """A damaged file was renamed: a retry creates a new one."""


def _parsed(url: str) -> URL:
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "postgresql":
        # Always the driver psycopg: a URL may name another one (psycopg2) that is not installed.
        return server_url(parsed)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SettingsError(f"a store must be a SQLite file or a PostgreSQL database, not {shown_url(parsed)}")
    return parsed


def _require_file(path: Path, *, shown: str, read_only: bool) -> None:
    if path.exists():
        return
    if read_only:
        raise StoreError(f"{shown} does not exist: run `bot3 init`")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{shown}: its directory cannot be created ({error.strerror}): choose another home") from error


def _sqlite_engine(url: URL, *, kind: StoreKind, read_only: bool, busy_timeout_s: float) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": busy_timeout_s}, pool_size=5, max_overflow=20)

    @event.listens_for(engine, "connect")
    def _on_connect(driver: Any, _record: Any) -> None:
        # The driver's own transactions would begin late and deferred: the `begin` listener below executes BEGIN.
        driver.isolation_level = None
        cursor = driver.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        elif cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[kind]}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _server_engine(url: URL, *, kind: StoreKind, read_only: bool, busy_timeout_s: float) -> Engine:
    del kind
    from bot3.adapters.sql.server import SESSION_LIMITS, server_engine  # noqa: PLC0415  # homes on SQLite need no server driver

    session: dict[str, str | int] = {"timezone": "UTC", "lock_timeout": round(busy_timeout_s * 1000), **SESSION_LIMITS}
    if read_only:
        session["default_transaction_read_only"] = "on"
    return server_engine(url, session=session, connect_timeout_s=busy_timeout_s, pool_pre_ping=True, pool_size=5, max_overflow=20)
