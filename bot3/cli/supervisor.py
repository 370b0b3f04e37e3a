"""One supervisor for all services: starts them, waits until they are healthy, restarts what dies, stops all."""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from bot3.cli.services import Service
from bot3.errors import Bot3Error

_STOP_GRACE_S = 20.0  # Dagster's daemon finishes its ticks first, about ten seconds
_RESTARTS_ALLOWED, _RESTART_WINDOW_S = 3, 300.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    starts: deque[float] = field(default_factory=deque)


class Supervisor:
    """Owns the processes of one home; `run_directory` keeps their ids, `log_directory` their output."""

    def __init__(self, services: Sequence[Service], *, run_directory: Path, log_directory: Path) -> None:
        self._services = services
        self._logs = log_directory
        self._state = run_directory / "supervisor.json"
        self._children: list[_Child] = []
        self._is_stopping = False
        for directory in (run_directory, log_directory):
            directory.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start every service; SIGINT and SIGTERM ask to stop from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for service in self._services:
            if self._is_stopping:
                return
            self._children.append(_Child(service, self._spawn(service), deque([time.monotonic()])))
            self._remember()

    def wait_healthy(self, *, timeout_s: float, tell: Callable[[str, float], None]) -> None:
        """Wait until every service is healthy; `tell` is called with each name and its seconds.

        Raises
        ------
        Bot3Error
            If a service dies or is not healthy in time; the text names it and its log.
        """
        began = time.monotonic()
        waiting = {child.service.name: child for child in self._children}
        while waiting and not self._is_stopping:
            for name, child in list(waiting.items()):
                if not child.service.is_needed and child.process.poll() is not None:
                    del waiting[name]  # `supervise` starts it again, or gives it up
                    continue
                self._require_alive(child)
                if child.service.is_healthy():
                    tell(name, time.monotonic() - began)
                    del waiting[name]
            if waiting and time.monotonic() - began > timeout_s:
                logs = ", ".join(str(self._log(name)) for name in waiting)
                raise Bot3Error(f"not healthy after {timeout_s:.0f} s: {', '.join(waiting)}; see {logs}")
            time.sleep(0.2)

    def supervise(self, *, for_s: float = math.inf) -> None:
        """Watch until asked to stop, or for so long; a service that dies is started again, three times in five minutes at most."""
        until = time.monotonic() + for_s
        while not self._is_stopping and time.monotonic() < until:
            for child in list(self._children):
                if child.process.poll() is not None and not self._is_stopping:
                    self._restart(child)
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop every service, the last started first, and wait; what does not end in time is killed."""
        self._is_stopping = True
        groups = [(child, _descendants(child.process.pid)) for child in self._children]
        for child, _ in reversed(groups):
            _send(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE_S
        for child, _ in groups:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
        for child, descendants in groups:
            kill_all([child.process.pid, *descendants])
        self._state.unlink(missing_ok=True)

    def _restart(self, child: _Child) -> None:
        now = time.monotonic()
        while child.starts and now - child.starts[0] > _RESTART_WINDOW_S:
            child.starts.popleft()
        if len(child.starts) > _RESTARTS_ALLOWED:
            if not child.service.is_needed:
                self._give_up(child)
                return
            self._require_alive(child)
        _print(f"{child.service.name} ended with {child.process.returncode}; starting it again")
        child.starts.append(now)
        child.process = self._spawn(child.service)
        self._remember()

    def _give_up(self, child: _Child) -> None:
        name, code = child.service.name, child.process.returncode
        _print(f"{name} ended with {code} again and is left out; see {self._log(name)}, then start again")
        self._children.remove(child)
        self._remember()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        with self._log(service.name).open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                service.command,
                env=dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_prepare_child,  # noqa: PLW1509  # no threads run before the children are started
            )

    def _require_alive(self, child: _Child) -> None:
        code = child.process.poll()
        if code is not None and not self._is_stopping:
            tail = self._log(child.service.name).read_bytes()[-1_500:].decode(errors="replace").strip()
            raise Bot3Error(f"{child.service.name} ended with {code}; the end of {self._log(child.service.name)}:\n{tail}")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _remember(self) -> None:
        pids = {child.service.name: process_identity(child.process.pid) for child in self._children}
        addresses = {child.service.name: child.service.address for child in self._children if child.service.address}
        text = json.dumps({"supervisor": process_identity(os.getpid()), "services": pids, "addresses": addresses})
        self._state.with_suffix(".new").write_text(text, encoding="utf-8")
        self._state.with_suffix(".new").replace(self._state)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


def process_identity(pid: int) -> list[float]:
    """Return (pid, start time): a pid alone may be somebody else's by now."""
    try:
        return [pid, psutil.Process(pid).create_time()]
    except psutil.NoSuchProcess:
        return [pid, 0.0]


def is_same_process(identity: Sequence[float]) -> bool:
    """Say whether the process of an identity is still there."""
    pid, started = int(identity[0]), identity[1]
    return psutil.pid_exists(pid) and process_identity(pid)[1] == started


def kill_all(pids: Sequence[int]) -> None:
    """Kill processes that are still there."""
    for pid in pids:
        _send(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _prepare_child() -> None:
    # A shell's `&` leaves SIGINT ignored, and Dagster maps SIGTERM to SIGINT's handler: it would never stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        # A supervisor that is killed must not leave services behind.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _print(text: str) -> None:
    print(f"bot3: {text}", file=sys.stderr, flush=True)  # noqa: T201  # the supervisor speaks to the terminal
