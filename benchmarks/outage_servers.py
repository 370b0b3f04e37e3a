"""Servers that fail on demand, for benchmarks/outage.py: PostgreSQL and InfluxDB, each behind a proxy and on a small disk of its own."""

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
    """A server's program, as the test suite starts it."""

    @property
    def is_running(self) -> bool:
        """Say whether it runs."""
        ...

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ...

    def stop(self) -> None:
        """Stop it in order."""
        ...

    def kill(self) -> None:
        """Kill it with all of its processes."""
        ...

    def suspend(self) -> None:
        """Let it not go on."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server and its faults.

    Parameters
    ----------
    disk : Path or None
        The mount that holds its data, and nothing else; None where this user may not mount one: then its disk cannot be filled.
    """

    name: str
    program: Program
    proxy: CutProxy
    disk: Path | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the faults that can be made."""
        return KINDS if self.disk is not None else KINDS[:-1]

    def begin(self, kind: str) -> None:
        """Make a fault."""
        if kind == "half_open":
            self.proxy.stall()
        elif kind == "disk_full":
            self._fill()
        else:
            {"stop": self.program.stop, "kill": self.program.kill, "stall": self.program.suspend}[kind]()

    def end(self, kind: str) -> None:
        """End a fault; a program that ended by itself meanwhile is started again, as its service manager does.

        Who frees a full disk of InfluxDB restarts it (docs/runbook.md): it does not open a shard again that failed to open once.
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
            raise SystemExit(f"{self.name} has no disk of its own that could be filled")
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
    """Yield a small file system in memory for one server's data; None where this user may not mount one."""
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
