"""Servers that fail on demand, for benchmarks/outage.py: PostgreSQL and InfluxDB, each behind a proxy and on its own small disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.servers.cut_proxy import CutProxy

KINDS = ("stop", "kill", "stall", "half_open", "disk_full")
_DISK_MB = {"postgres": 700, "influx": 400}
_CHUNK = b"\0" * (1 << 20)


class Program(Protocol):
    """A server program, as the test suite starts it."""

    @property
    def is_running(self) -> bool:
        """Return whether the server runs."""
        ...

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        ...

    def stop(self) -> None:
        """Shut the server down in order."""
        ...

    def kill(self) -> None:
        """Kill the server with all its processes."""
        ...

    def suspend(self) -> None:
        """Suspend the server's processes."""
        ...

    def resume(self) -> None:
        """Resume the server's processes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server with its possible faults.

    Parameters
    ----------
    disk : Path or None
        The mount that contains only its data; None if this user may not mount one, so that its disk cannot be filled.
    """

    name: str
    program: Program
    proxy: CutProxy
    disk: Path | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of faults that can be caused."""
        return KINDS if self.disk is not None else KINDS[:-1]

    def begin(self, kind: str) -> None:
        """Cause a fault of a kind."""
        if kind == "half_open":
            self.proxy.stall()
        elif kind == "disk_full":
            self._fill()
        else:
            {"stop": self.program.stop, "kill": self.program.kill, "stall": self.program.suspend}[kind]()

    def end(self, kind: str) -> None:
        """End a fault of a kind, and restart a program that has ended, as its service manager does.

        InfluxDB is always restarted after its disk was full (docs/runbook.md), because it does not retry to open a shard that failed once.
        """
        if kind == "half_open":
            self.proxy.mend()
        elif kind == "disk_full":
            self._filler.unlink(missing_ok=True)
            if self.name == "influx":
                self.program.stop()
        elif kind == "stall":
            self.program.resume()
        if not self.program.is_running:
            self.program.kill()
            self.program.start()

    @property
    def _filler(self) -> Path:
        if self.disk is None:
            raise SystemExit(f"{self.name} has no separate disk that could be filled")
        return self.disk / "filler"

    def _fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(_CHUNK)
            except OSError:
                return  # full


@contextmanager
def small_disk(folder: Path, name: str) -> Iterator[Path | None]:
    """Yield a small file system in memory for one server's data, or None if this user may not mount one."""
    target = folder / f"disk-{name}"
    target.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB[name]}m,mode=0777", "tmpfs", str(target)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield target
    finally:
        subprocess.run(["umount", "--lazy", str(target)], capture_output=True, check=False)
