"""A real InfluxDB 2: the server at TEST_INFLUX_URL, or a program started in a temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3

from bot3.adapters.influx.server import InfluxAddress

MISSING = (
    "no InfluxDB 2: set TEST_INFLUXD to its program, or run `docker run -p 8086:8086 influxdb:2.7` and set TEST_INFLUX_URL, "
    "TEST_INFLUX_TOKEN and TEST_INFLUX_ORG"
)
ORG, TOKEN = "freqtrade", "test-token-of-this-session"


def find_program() -> Path | None:
    """Return the program in TEST_INFLUXD, or `influxd` on the path; None if there is neither."""
    found = os.environ.get("TEST_INFLUXD") or shutil.which("influxd")
    return Path(found) if found else None


def is_available() -> bool:
    return bool(os.environ.get("TEST_INFLUX_URL")) or find_program() is not None


class InfluxProgram:
    """An InfluxDB server as a context; a program that it started is stopped on exit, and its files are removed."""

    def __init__(self, *, folder: Path | None = None) -> None:
        self._folder = folder
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._made = 0

    @property
    def url(self) -> str:
        return os.environ.get("TEST_INFLUX_URL") or f"http://127.0.0.1:{self._port}"

    @property
    def is_ours(self) -> bool:
        """Return whether the program was started here and may be stopped."""
        return self._process is not None

    def address(self, *, timeout_s: float = 20.0) -> InfluxAddress:
        token, org = os.environ.get("TEST_INFLUX_TOKEN", TOKEN), os.environ.get("TEST_INFLUX_ORG", ORG)
        return InfluxAddress(url=self.url, org=org, token=token, timeout=timedelta(seconds=timeout_s))

    def new_prefix(self) -> str:
        """Return a prefix that makes the bucket names of one test unique."""
        self._made += 1
        return f"t{os.getpid()}_{self._made}_"

    def __enter__(self) -> Self:
        if not os.environ.get("TEST_INFLUX_URL"):
            self.start()
            self._set_up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start the program; after `stop` it has its previous data."""
        program = find_program()
        if program is None:
            raise FileNotFoundError(MISSING)
        self._directory = self._directory or Path(tempfile.mkdtemp(prefix="bot3-influx-", dir=self._folder))
        self._port = self._port or _free_port()
        paths = {"bolt-path": "influxd.bolt", "engine-path": "engine", "sqlite-path": "influxd.sqlite"}
        command = [str(program), *(f"--{name}={self._directory / file}" for name, file in paths.items())]
        command += [f"--http-bind-address=127.0.0.1:{self._port}", "--reporting-disabled", "--log-level=error"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        self._wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """Kill the program, like a power failure of its machine."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    @property
    def is_running(self) -> bool:
        """Return whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def suspend(self) -> None:
        """Suspend the program until `resume`: connections stay open without a response."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = urllib3.request("GET", f"{self.url}/health", timeout=5.0, retries=False)
                if answer.status == 200 and answer.json()["status"] == "pass":
                    return
            except urllib3.exceptions.HTTPError:
                if self._process is not None and self._process.poll() is not None:
                    raise
            assert time.monotonic() < deadline, "InfluxDB was not ready within a minute"
            time.sleep(0.05)

    def _set_up(self) -> None:
        wanted = {
            "username": "test",
            "password": "test-password",
            "org": ORG,
            "bucket": "first",
            "token": TOKEN,
            "retentionPeriodSeconds": 0,
        }
        answer = urllib3.request("POST", f"{self.url}/api/v2/setup", json=wanted, timeout=30.0, retries=False)
        assert answer.status == 201, answer.data


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
