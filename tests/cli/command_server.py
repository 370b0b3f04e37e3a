"""A process that has imported the platform, and forks for each `bot3` command: importing is most of the work of a short command.

`python -m tests.cli.command_server SOCKET` reads requests, one JSON object a line, and answers each with the exit code of its command.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = ("bot3.wiring", "bot3.usecases.seed.home", "alembic.command")
"""Modules that import most of what commands import."""


class CommandServer:
    """The parent's side of the server; it starts the server, and ends it at exit."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        own = {name: value for name, value in os.environ.items() if not name.startswith("BOT3_")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.command_server", str(theirs.fileno())],
                env={**own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._stream = self._socket.makefile("rwb")

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path, given: str = "", timeout_s: float = 150.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end with a text as its standard input. Raises TimeoutError if it takes too long."""
        with TemporaryDirectory(prefix="bot3-command-") as folder:
            files = [Path(folder) / name for name in ("in", "out", "err")]
            for file, text in zip(files, (given, "", ""), strict=True):
                file.write_text(text, encoding="utf-8")
            code = self._answer(
                {
                    "arguments": list(arguments),
                    "environment": dict(environment),
                    "directory": str(directory),
                    "files": [str(file) for file in files],
                },
                timeout_s=timeout_s,
            )
            _, out, err = (file.read_text(encoding="utf-8") for file in files)
            return subprocess.CompletedProcess(["bot3", *arguments], code, out, err)

    def _answer(self, request: Mapping[str, object], *, timeout_s: float) -> int:
        self._socket.settimeout(timeout_s)
        self._stream.write(json.dumps(request).encode() + b"\n")
        self._stream.flush()
        try:
            return int(self._stream.readline())
        except TimeoutError:
            # The command still runs: the next one gets another server.
            command_server.cache_clear()
            self.close()
            raise

    def close(self) -> None:
        """End the server, and a command that still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._stream.close()
        self._socket.close()


@cache
def command_server() -> CommandServer:
    """Return the server of this process, started at the first call."""
    server = CommandServer()
    atexit.register(server.close)
    return server


def next_command(stream: BinaryIO | Any) -> dict[str, Any] | None:
    """Fork for each request; return the request in the forked process, and None in the server once its parent has ended."""
    for line in stream:
        child = os.fork()
        if child == 0:
            request: dict[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(child, 0)
        stream.write(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        stream.flush()
    return None


def run_here(request: dict[str, Any]) -> None:
    """Run a command in this process, as the interpreter's option -m would."""
    for number, name in enumerate(request["files"]):
        opened = os.open(name, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["directory"])
    sys.argv[1:] = request["arguments"]
    runpy.run_module("bot3.cli.main", run_name="__main__", alter_sys=True)


def serve(number: int) -> None:
    """Import the platform, then run commands in forks."""
    for name in IMPORTED:
        importlib.import_module(name)
    with socket.socket(fileno=number) as connection, connection.makefile("rwb") as stream:
        request = next_command(stream)
    if request is not None:
        run_here(request)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
