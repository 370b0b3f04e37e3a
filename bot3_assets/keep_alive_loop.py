"""Repeat a sensor's step in a background thread between its ticks, as long as ticks continue."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock, Thread

import dagster as dg
import structlog
from dagster._core.instance.ref import InstanceRef

from bot3.errors import StoreBusyError, StoreConflictError, StoreFullError
from bot3_assets.resources import close_with_platforms

LEASE_S = 20.0
BUSY_S = 0.2
"""Seconds between a step that failed because a store was busy and the next one."""
_JOIN_S = 10.0

log = structlog.get_logger()


class KeepAliveLoop:
    """Repeats a step in a thread between the ticks of a sensor, so that work does not wait for the next tick.

    Dagster starts a tick at the earliest five seconds after the last one, and ten if that one took too long. Each tick renews the thread's
    time limit (the lease). A step that fails ends the thread; the next tick runs the step itself and shows the failure in Dagster. A busy
    store only delays the next step.

    Parameters
    ----------
    poll_s : float
        Wall seconds between two steps.
    lease_s : float
        Seconds after the last tick at which the thread ends; no tick means that the sensor is turned off or Dagster's daemon has stopped.
    """

    def __init__(self, name: str, step: Callable[[], object], *, poll_s: float, lease_s: float = LEASE_S) -> None:
        self._name, self._step, self._poll_s, self._lease_s = name, step, poll_s, lease_s
        self._lock, self._stop = Lock(), Event()
        self._until = 0.0
        self._thread: Thread | None = None

    @property
    def is_running(self) -> bool:
        """Return whether the thread is running."""
        return self._thread is not None

    def renew(self) -> None:
        """Let the thread run for `lease_s` seconds from now; start it if it is not running."""
        with self._lock:
            self._until = time.monotonic() + self._lease_s
            if self._thread is None:
                self._stop.clear()
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Stop the thread after its current step, and wait for that at most ten seconds."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until the thread has ended, at most ten seconds; if it has not, that is logged."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout=_JOIN_S)
            if thread.is_alive():
                log.warning("keep_alive_loop_still_running", sensor=self._name, waited_s=_JOIN_S)

    def _run(self) -> None:
        pause_s, busy = 0.0, ""
        while self._goes_on(pause_s):
            trouble = self._taken()
            if trouble and trouble != busy:
                log.warning("keep_alive_loop_delayed", sensor=self._name, error=trouble)
            pause_s, busy = BUSY_S if trouble else self._poll_s, trouble

    def _taken(self) -> str:
        """Run the step; return the error text if a store is unavailable, else "". Any other error stops the thread."""
        try:
            self._step()
        except (StoreBusyError, StoreConflictError, StoreFullError) as error:
            return str(error)
        except Exception as error:  # a thread cannot report to Dagster: the next tick gets the same error and shows it
            log.exception("keep_alive_loop_failed", sensor=self._name, error=str(error))
            self._stop.set()
        return ""

    def _goes_on(self, pause_s: float) -> bool:
        self._stop.wait(pause_s)
        with self._lock:
            # Under the lock, so that a tick either finds the thread running or starts a new one.
            if self._stop.is_set() or time.monotonic() >= self._until:
                self._thread = None
                return False
            return True


class KeepAliveLoops:
    """The background threads of one sensor, one for each platform that is open in this process."""

    def __init__(self, name: str, *, poll_s: float) -> None:
        self._name, self._poll_s = name, poll_s
        self._lock = Lock()
        self._running: dict[int, KeepAliveLoop] = {}

    def renew(self, platform: object, step: Callable[[], object]) -> None:
        """Renew a platform's thread, or start it; it repeats the step that was passed at the first call for this platform."""
        with self._lock:
            key = id(platform)
            if key not in self._running:
                self._running[key] = KeepAliveLoop(self._name, step, poll_s=self._poll_s)
                close_with_platforms(lambda: self._running.pop(key).end())
            self._running[key].renew()

    def end(self, platform: object) -> None:
        """Stop a platform's thread after its current step; without a thread this does nothing."""
        with self._lock:
            loop = self._running.get(id(platform))
        if loop is not None:
            loop.end()


_instances: list[tuple[InstanceRef, dg.DagsterInstance]] = []
_lock = Lock()


def warm_instance(context: dg.SensorEvaluationContext) -> dg.DagsterInstance | None:
    """Return a Dagster instance that this process reuses for all ticks; None for an in-memory instance, which cannot be opened twice.

    The instance that a tick gets is closed with the tick, and on PostgreSQL it connects for every query: reporting an event takes 10 to
    20 ms, with this one 2 ms.
    """
    ref = context.instance_ref
    if ref is None:
        return None
    with _lock:
        for known, instance in _instances:
            if known == ref:
                return instance
        instance = dg.DagsterInstance.from_ref(ref)
        # Dagster's web server calls this for its own instance; with SQLite it changes nothing.
        instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=20)
        _instances.append((ref, instance))
    # Outside the lock, to avoid a deadlock: the closing of platforms locks theirs first, and then this one.
    close_with_platforms(_close_instances)
    return instance


def _close_instances() -> None:
    with _lock:
        while _instances:
            _instances.pop()[1].dispose()
