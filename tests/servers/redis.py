"""A real Redis, started as docker-compose.yml starts it: on a free port of 127.0.0.1, with a password from a file."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from bot3.cli.services import free_port

MISSING = "no Redis server program: install redis-server (programs redis-server and redis-cli on the path)"
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "redis"


def is_available() -> bool:
    return shutil.which("redis-server") is not None and shutil.which("redis-cli") is not None


class RedisServer:
    """Start the server on entry; stop it and remove its files on exit."""

    def __init__(self, *, password: str | None = None, port: int | None = None) -> None:
        if not is_available():
            raise FileNotFoundError(MISSING)
        self.password = password or secrets.token_hex(16)
        self.port = port or free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="bot3-redis-"))
        # Written once: a rewrite while the starting server reads the file could leave it empty.
        (self.directory / "password").write_text(self.password)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the server; after `stop` it has its previous data."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(["sh", FOLDER / "start.sh"], env=self._environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def answers(self) -> bool:
        """Return whether the server answers compose's health check."""
        return (
            subprocess.run(["sh", FOLDER / "ping.sh"], env=self._environment(), capture_output=True, check=False, timeout=30).returncode
            == 0
        )

    def _environment(self) -> dict[str, str]:
        given = {
            "BIND": "127.0.0.1",
            "PORT": str(self.port),
            "DIRECTORY": str(self.directory),
            "PASSWORD_FILE": str(self.directory / "password"),
        }
        return {"PATH": "/usr/bin:/bin:/usr/local/bin", **{f"REDIS_{name}": value for name, value in given.items()}}
