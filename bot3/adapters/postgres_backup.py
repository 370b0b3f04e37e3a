"""Backups of PostgreSQL databases with the server's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from bot3.adapters.sql_errors import translated
from bot3.adapters.sql_tables_bot import store_identity
from bot3.errors import SettingsError, StoreError

_FILE = "database.dump"
_LOCK_TIMEOUT = "-c lock_timeout=5s"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresBackup:
    """A `StoreBackup` of one database, in pg_dump's own format. The address must be that of its owner."""

    name: str
    url: str

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold the row that every writer of a bot's store changes."""
        with translated(self._shown), self._engine().begin() as connection:
            connection.execute(sa.select(store_identity.c.id).with_for_update())
            yield

    def copy(self, target: Path) -> None:
        """Dump the database as of one instant."""
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target / _FILE}")

    def require_empty(self) -> None:
        """Raise StoreError if the database has a table."""
        with translated(self._shown), self._engine().connect() as connection:
            tables = sa.inspect(connection).get_table_names()
        if tables:
            raise StoreError(f"{self._shown} holds tables ({tables[0]}, ...), nothing was restored: name a database that is empty")

    def restore(self, source: Path) -> None:
        """Put all of it back in one transaction."""
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        self._run("pg_restore", *options, f"--dbname={self._address.database}", str(source / _FILE))

    @property
    def _address(self) -> URL:
        return make_url(self.url)

    @property
    def _shown(self) -> str:
        return self._address.render_as_string(hide_password=True)

    def _engine(self) -> sa.Engine:
        return sa.create_engine(self._address, poolclass=sa.NullPool, connect_args={"options": _LOCK_TIMEOUT, "connect_timeout": 5})

    def _run(self, program: str, *arguments: str) -> None:
        path = shutil.which(program)
        if path is None:
            raise SettingsError(f"{program} is not installed: apt-get install postgresql-client, of the server's version or newer")
        done = subprocess.run([path, *arguments], env=self._environment(), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise StoreError(f"{program} of {self._shown} ended with {done.returncode}: {done.stderr.strip()[-500:]}")

    def _environment(self) -> dict[str, str]:
        """Return the environment of a program: no secret stands on its command line."""
        address = self._address
        host, port = address.query.get("host", address.host), address.query.get("port", address.port)
        given = {"PGHOST": host, "PGPORT": port, "PGUSER": address.username, "PGDATABASE": address.database, "PGPASSWORD": address.password}
        return {**os.environ, **{name: str(value) for name, value in given.items() if value}}
