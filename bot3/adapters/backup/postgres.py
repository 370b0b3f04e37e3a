"""Back up PostgreSQL databases with pg_dump, and restore them with pg_restore."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from bot3.adapters.sql.bot.tables import store_identity
from bot3.adapters.sql.errors import translated
from bot3.adapters.sql.server import server_engine
from bot3.adapters.sql.urls import parsed_url, server_url, shown_url
from bot3.errors import SettingsError, StoreError

_FILE = "database.dump"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresBackup:
    """A `StoreBackup` of one database, as a file in pg_dump's custom format.

    Parameters
    ----------
    name : str
        Name of the store in a backup.
    url : str
        Database URL of its owner.
    lock_timeout_s : float
        Maximum wait for the lock that blocks writers, in seconds; then the backup fails.
    """

    name: str
    url: str
    lock_timeout_s: float = 5.0

    @contextmanager
    def hold(self) -> Iterator[PostgresMoment]:
        """Lock the row that every writer of a bot's database updates, and export a snapshot under that lock.

        Raises StoreBusyError if writers lock the row for longer than `lock_timeout_s`.
        """
        engine = self._engine()
        with translated(self._shown), engine.connect() as lock, engine.connect() as holder:
            lock.execute(sa.select(store_identity.c.id).with_for_update())
            # In a transaction of its own: its first statement takes the snapshot, and the lock above may have waited for a writer.
            holder.execution_options(isolation_level="REPEATABLE READ")
            snapshot = str(holder.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one())
            yield PostgresMoment(store=self, lock=lock, snapshot=snapshot)

    def copy(self, target: Path) -> None:
        """Dump the database as of one instant. Raises SettingsError if pg_dump is not installed, StoreError if it fails."""
        self.dump(target)

    def dump(self, target: Path, *options: str) -> None:
        """Run pg_dump with further options. Raises SettingsError if it is not installed, StoreError if it fails."""
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", *options, f"--file={target / _FILE}")

    def is_own(self, source: Path) -> bool:
        """Return whether a directory contains a dump."""
        return (source / _FILE).is_file()

    def require_empty(self) -> None:
        """Raise StoreError if the database has a table."""
        with translated(self._shown), self._engine().connect() as connection:
            tables = sa.inspect(connection).get_table_names()
        if tables:
            raise StoreError(f"{self._shown} contains tables ({tables[0]}, ...), nothing was restored: name an empty database")

    def restore(self, source: Path) -> None:
        """Restore the whole dump in one transaction. Raises SettingsError if pg_restore is not installed, StoreError if it fails."""
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        self._run("pg_restore", *options, f"--dbname={self._address.database}", str(source / _FILE))

    @property
    def _address(self) -> URL:
        return server_url(parsed_url(self.url))

    @property
    def _shown(self) -> str:
        return shown_url(self._address)

    def _engine(self) -> sa.Engine:
        # No timeouts for transactions: they stay open while pg_dump runs.
        return server_engine(self._address, session={"lock_timeout": round(self.lock_timeout_s * 1000)}, poolclass=sa.NullPool)

    def _run(self, program: str, *arguments: str) -> None:
        path = shutil.which(program)
        if path is None:
            raise SettingsError(f"{program} is not installed: apt-get install postgresql-client, of the server's version or newer")
        done = subprocess.run([path, *arguments], env=self._environment(), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise StoreError(f"{program} of {self._shown} failed with status {done.returncode}: {done.stderr.strip()[-500:]}")

    def _environment(self) -> dict[str, str]:
        """Return the environment with which pg_dump and pg_restore connect: the password is not on the command line."""
        address = self._address
        host, port = address.query.get("host", address.host), address.query.get("port", address.port)
        given = {"PGHOST": host, "PGPORT": port, "PGUSER": address.username, "PGDATABASE": address.database, "PGPASSWORD": address.password}
        return {**os.environ, **{name: str(value) for name, value in given.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresMoment:
    """A `StoreMoment`: a lock that blocks writers, and a snapshot that an open transaction preserves for pg_dump."""

    store: PostgresBackup
    lock: sa.Connection
    snapshot: str

    def go_on(self) -> None:
        """Release the lock; the snapshot remains."""
        self.lock.rollback()

    def copy(self, target: Path) -> None:
        """Dump the snapshot with pg_dump."""
        self.store.dump(target, f"--snapshot={self.snapshot}")
