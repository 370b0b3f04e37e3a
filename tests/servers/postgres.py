"""A real PostgreSQL cluster in a temporary directory, reached through a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import sqlalchemy as sa

MISSING = "no PostgreSQL server program: install postgresql (programs in /usr/lib/postgresql/*/bin or on the path)"
_USERS = ("postgres", "nobody")
_AUTHENTICATION = ("--auth-local=trust", "--auth-host=scram-sha-256")


def find_program(name: str) -> Path | None:
    """Return the path of a server program, or None if it is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3].split(".")[0]))
    if installed:
        return installed[-1]
    found = shutil.which(name)
    return None if found is None else Path(found)


class PostgresServer:
    """Start the server on entry; stop it and remove its files on exit.

    Durability is off, because tests discard their data; benchmarks switch it on. With a port it listens on 127.0.0.1 too, where every role
    needs its password; on the socket no role does.
    """

    def __init__(self, *, superuser: str = "bot3", port: int | None = None, is_durable: bool = False, folder: Path | None = None) -> None:
        initdb, postgres = find_program("initdb"), find_program("postgres")
        if initdb is None or postgres is None:
            raise FileNotFoundError(MISSING)
        self._initdb, self._postgres = initdb, postgres
        # Outside pytest's directories, because the server's user has no access to those.
        # A socket's path has 107 bytes at most, so it is not in the data directory of a test.
        self._directory = Path(tempfile.mkdtemp(prefix="bot3-pg-"))
        self._cluster = self._directory if folder is None else Path(tempfile.mkdtemp(prefix="bot3-pg-", dir=folder))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._new: list[str] = []
        self._superuser = superuser
        self._listening = ["-c", "listen_addresses="] if port is None else ["-c", "listen_addresses=127.0.0.1", "-p", str(port)]
        self._port = port or 5432
        self._fsync = "on" if is_durable else "off"

    @property
    def directory(self) -> Path:
        """Return the directory of the socket and of the server's log."""
        return self._directory

    def __enter__(self) -> Self:
        _unprivileged(self._directory)
        as_user = _unprivileged(self._cluster)
        data = self._cluster / "data"
        initdb = [self._initdb, "-D", data, "-U", self._superuser, *_AUTHENTICATION, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, **as_user)
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # PostgreSQL's immediate shutdown: it writes nothing that is then deleted.
        self._end(signal.SIGQUIT)
        for directory in {self._directory, self._cluster}:
            shutil.rmtree(directory, ignore_errors=True)

    def start(self) -> None:
        """Start the server; after `stop` or `kill` it has all committed data."""
        # The server ends with the process that started it, even if that one is killed.
        server = ["setpriv", "--pdeathsig", "QUIT", self._postgres, "-D", self._cluster / "data", "-k", self._directory, *self._listening]
        server += ["-c", f"fsync={self._fsync}", "-c", "timezone=Asia/Tokyo", "-c", "max_wal_size=256MB"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(server, stdout=log, stderr=log, **_unprivileged(self._directory))
        self._wait()

    def stop(self) -> None:
        """Stop the server immediately; every client is disconnected."""
        # PostgreSQL's fast shutdown: SIGTERM would wait for every client to disconnect.
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """Kill the server and all its processes, like a power failure of its machine."""
        if self._process is not None:
            # Suspended first: a process that it started after the list was made would survive, and its successor could not start.
            if self.is_running:
                psutil.Process(self._process.pid).suspend()
            family = self.processes() if self.is_running else []
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self._process.wait(timeout=30)
            psutil.wait_procs(family, timeout=30)
            self._process = None

    @property
    def is_running(self) -> bool:
        """Return whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def suspend(self) -> None:
        """Suspend all processes of the server until `resume`: connections stay open without a response."""
        for member in self.processes():
            with suppress(psutil.NoSuchProcess):
                member.suspend()

    def resume(self) -> None:
        for member in self.processes():
            with suppress(psutil.NoSuchProcess):
                member.resume()

    def processes(self) -> list[psutil.Process]:
        """Return the server's process and its child processes."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{self._superuser}@/{database}?host={self._directory}&port={self._port}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._made += 1
        name = f"store{self._made}"
        self._execute([f"CREATE DATABASE {name}"])
        self._new.append(name)
        return self.url(name)

    def drop_new_databases(self) -> None:
        """Drop the databases of `new_database`, and disconnect their clients."""
        self._execute([f"DROP DATABASE {name} WITH (FORCE)" for name in self._new])
        self._new.clear()

    def copy_database(self, source: str, name: str, *, owner: str) -> None:
        """Create a copy of a database that has no open connections."""
        self._execute([f"CREATE DATABASE {name} TEMPLATE {source} OWNER {owner}", f"ALTER DATABASE {name} SET timezone TO 'UTC'"])

    def _execute(self, statements: Sequence[str]) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                return self._execute(["SELECT 1"])
            except sa.exc.OperationalError as error:
                if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                    error.add_note((self._directory / "log").read_text(errors="replace")[-2_000:])
                    raise
                time.sleep(0.05)


def _unprivileged(directory: Path) -> dict[str, Any]:
    """Make a directory belong to an unprivileged user; return the arguments that run a process as that user."""
    if os.geteuid() != 0:
        return {"cwd": directory}
    user = next(entry for entry in pwd.getpwall() if entry.pw_name in _USERS)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": directory}
