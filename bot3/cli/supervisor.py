"""Supervise all services of a home: start them, wait until they are healthy, restart those that end, and stop all."""

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from bot3.cli.services import Service
from bot3.errors import AlreadyRunningError, Bot3Error, SettingsError
from bot3.file_replacement import replace_file

_STOP_GRACE_S = 20.0  # Dagster's daemon first completes its ticks, which takes about ten seconds
_FIRST_DELAY_S, _LONGEST_DELAY_S = 1.0, 10.0
_STEADY_S = 60.0
_A_PERSON_MUST_ACT = (SettingsError.exit_code, AlreadyRunningError.exit_code)
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started_at: float
    delay_s: float = 0.0
    restart_at: float | None = None

    def ended(self, now: float, *, first_delay_s: float, steady_s: float) -> bool:
        """Return whether the process has ended since the last check; if so, schedule its restart."""
        if self.restart_at is not None or self.process.poll() is None:
            return False
        is_steady = now - self.started_at >= steady_s
        self.delay_s = first_delay_s if is_steady or not self.delay_s else min(2.0 * self.delay_s, _LONGEST_DELAY_S)
        self.restart_at = now + self.delay_s
        return True


class Supervisor:
    """Starts, restarts and stops the processes of one home.

    Parameters
    ----------
    run_directory, log_directory : Path
        Directories of the file with the processes' ids, and of their output.
    first_delay_s : float
        Seconds before a service that ended is restarted; doubled each time it ends again, up to 10.
    steady_s : float
        After a service has run for this many seconds, its next restart has the first delay again.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        run_directory: Path,
        log_directory: Path,
        first_delay_s: float = _FIRST_DELAY_S,
        steady_s: float = _STEADY_S,
    ) -> None:
        self._first_delay_s, self._steady_s = first_delay_s, steady_s
        self._services = services
        self._logs = log_directory
        self._state = run_directory / "supervisor.json"
        self._children: list[_Child] = []
        self._is_stopping = False
        for directory in (run_directory, log_directory):
            directory.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start every service in order; from now on SIGINT and SIGTERM request a stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for service in self._services:
            if self._is_stopping:
                return
            self._children.append(_Child(service, self._spawn(service), time.monotonic()))
            self._remember()

    def wait_healthy(self, *, timeout_s: float, tell: Callable[[str, float], None]) -> list[str]:
        """Wait until every service is healthy; call `tell` with the name of each healthy one and the seconds since the start of the wait.

        A service that ends is restarted, as in `supervise`. A service that is not needed is not waited for once it has ended.

        Returns
        -------
        list of str
            The services that were not healthy within `timeout_s` seconds or before a stop was requested; they remain supervised.

        Raises
        ------
        Bot3Error
            If a needed service ends because of invalid settings, or because it runs already: a person must act. The text contains its name
            and the end of its log.
        """
        began = time.monotonic()
        waiting = {child.service.name: child for child in self._children}
        while waiting and not self._is_stopping and time.monotonic() - began <= timeout_s:
            for name, child in list(waiting.items()):
                if child.service.is_needed:
                    self._require_no_person(child)
                elif child.process.poll() is not None:
                    del waiting[name]  # `supervise` restarts it
                    continue
                if child.process.poll() is None and child.service.is_healthy():
                    tell(name, time.monotonic() - began)
                    del waiting[name]
            self._restart_ended()
            time.sleep(0.2)
        return list(waiting)

    def supervise(self, *, for_s: float = math.inf) -> None:
        """Restart services that end, until a stop is requested or `for_s` seconds have passed; see the class for the delays."""
        until = time.monotonic() + for_s
        while not self._is_stopping and time.monotonic() < until:
            self._restart_ended()
            time.sleep(0.5)

    def stop(self) -> None:
        """Send SIGTERM to every service, the last started first, wait up to 20 s, and kill what has not ended, child processes included."""
        self._is_stopping = True
        # Skip processes that have ended: another process may use their id now.
        groups = [(child, _descendants(child.process.pid)) for child in self._children if child.process.poll() is None]
        for child, _ in reversed(groups):
            _send(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE_S
        for child, _ in groups:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
        for child, descendants in groups:
            kill_all([child.process.pid, *descendants])
        self._state.unlink(missing_ok=True)

    def _restart_ended(self) -> None:
        for child in self._children:
            now = time.monotonic()
            if self._is_stopping:
                return
            before_s = child.delay_s
            if child.ended(now, first_delay_s=self._first_delay_s, steady_s=self._steady_s):
                name, code = child.service.name, child.process.returncode
                # Once a service that ends repeatedly has the longest delay, its restarts are no longer printed.
                if child.delay_s != before_s or child.delay_s < _LONGEST_DELAY_S:
                    _print(f"{name} ended with {code}: restarting it in {child.delay_s:g} s; see {self._log(name)}")
            elif child.restart_at is not None and now >= child.restart_at:
                self._start_again(child, now=now)

    def _start_again(self, child: _Child, *, now: float) -> None:
        try:
            child.process = self._spawn(child.service)
        except OSError as error:  # no memory, or no space for its log
            _print(f"{child.service.name} cannot be started ({error.strerror}): retrying in {_LONGEST_DELAY_S:.0f} s")
            child.restart_at = now + _LONGEST_DELAY_S
            return
        child.started_at, child.restart_at = now, None
        try:
            self._remember()
        except OSError as error:
            _print(f"{self._state} cannot be written ({error.strerror}): `bot3 status` shows an outdated state")

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

    def _require_no_person(self, child: _Child) -> None:
        code = child.process.poll()
        if code in _A_PERSON_MUST_ACT and not self._is_stopping:
            tail = self._log(child.service.name).read_bytes()[-1_500:].decode(errors="replace").strip()
            raise Bot3Error(f"{child.service.name} ended with {code}; the end of {self._log(child.service.name)}:\n{tail}")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _remember(self) -> None:
        pids = {child.service.name: process_identity(child.process.pid) for child in self._children}
        addresses = {child.service.name: child.service.address for child in self._children if child.service.address}
        text = json.dumps({"supervisor": process_identity(os.getpid()), "services": pids, "addresses": addresses})
        replace_file(self._state, text.encode())

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


def process_identity(pid: int) -> list[float]:
    """Return [pid, start time], start time 0 if there is no such process; another process may have the same pid later, but not both."""
    try:
        return [pid, psutil.Process(pid).create_time()]
    except psutil.NoSuchProcess:
        return [pid, 0.0]


def is_same_process(identity: Sequence[float]) -> bool:
    """Return whether the process of an identity still runs; False also for a zombie: it has ended, but its parent has not waited for it."""
    pid = int(identity[0])
    try:
        return process_identity(pid)[1] == identity[1] and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_all(pids: Sequence[int]) -> None:
    """Send SIGKILL to those of the processes that still exist."""
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
    # A shell's `&` leaves SIGINT ignored, and Dagster maps SIGTERM to the handler of SIGINT: it would never stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        # If the supervisor is killed, the kernel sends SIGTERM to its services.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _print(text: str) -> None:
    print(f"bot3: {text}", file=sys.stderr, flush=True)  # noqa: T201  # the supervisor prints to the terminal
