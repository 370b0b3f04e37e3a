"""What a sensor goes on doing between its ticks: a step repeated in a thread, for as long as ticks keep coming."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock, Thread

import dagster as dg
import structlog
from dagster._core.instance.ref import InstanceRef

from bot3_assets.resources import close_with_platforms

LEASE_S = 20.0
BUSY_S = 0.2
"""Pause after a store that was busy."""
_JOIN_S = 10.0

log = structlog.get_logger()


class Vigil:
    """Repeats a step between the ticks of a sensor, so that nothing waits for one.

    Dagster begins a tick five seconds after the last at best, and ten where that one overran. A tick keeps the vigil going. A step that
    fails ends it, and the next tick, which takes the step by itself, shows the failure in Dagster; a store that is busy only delays it.

    Parameters
    ----------
    poll_s : float
        Wall seconds between two steps.
    lease_s : float
        So long after the last tick it ends: the sensor was switched off, or Dagster's daemon is away.
    """

    def __init__(self, name: str, step: Callable[[], object], *, poll_s: float, lease_s: float = LEASE_S) -> None:
        self._name, self._step, self._poll_s, self._lease_s = name, step, poll_s, lease_s
        self._lock, self._stop = Lock(), Event()
        self._until = 0.0
        self._thread: Thread | None = None

    @property
    def is_kept(self) -> bool:
        """Say whether the step is being repeated."""
        return self._thread is not None

    def keep(self) -> None:
        """Go on for a lease from now."""
        with self._lock:
            self._until = time.monotonic() + self._lease_s
            if self._thread is None:
                self._stop.clear()
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def end(self) -> None:
        """End, after the step that is being taken."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until it has ended, by itself or because it was told to."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout=_JOIN_S)
            if thread.is_alive():
                log.warning("vigil_goes_on", sensor=self._name, waited_s=_JOIN_S)

    def _run(self) -> None:
        pause_s, busy = 0.0, ""
        while self._goes_on(pause_s):
            trouble = self._taken()
            if trouble and trouble != busy:
                log.warning("vigil_delayed", sensor=self._name, error=trouble)
            pause_s, busy = BUSY_S if trouble else self._poll_s, trouble

    def _taken(self) -> str:
        """Take the step; return what it has to wait for, nothing if it got through."""
        from bot3.errors import StoreBusyError, StoreConflictError, StoreFullError  # noqa: PLC0415  # heavy

        try:
            self._step()
        except (StoreBusyError, StoreConflictError, StoreFullError) as error:
            return str(error)
        except Exception as error:  # a thread has nobody to tell: the next tick meets the same, and shows it
            log.exception("vigil_ended", sensor=self._name, error=str(error))
            self._stop.set()
        return ""

    def _goes_on(self, pause_s: float) -> bool:
        self._stop.wait(pause_s)
        with self._lock:
            # Decided under the lock: a tick either finds it at work, or starts it again.
            if self._stop.is_set() or time.monotonic() >= self._until:
                self._thread = None
                return False
            return True


class Vigils:
    """The vigils of one sensor: one for each platform that this process has open."""

    def __init__(self, name: str, *, poll_s: float) -> None:
        self._name, self._poll_s = name, poll_s
        self._lock = Lock()
        self._kept: dict[int, Vigil] = {}

    def keep(self, platform: object, step: Callable[[], object]) -> None:
        """Go on for a lease from now; the step is the first one that was given for a platform."""
        with self._lock:
            key = id(platform)
            if key not in self._kept:
                self._kept[key] = Vigil(self._name, step, poll_s=self._poll_s)
                close_with_platforms(lambda: self._kept.pop(key).end())
            self._kept[key].keep()

    def end(self, platform: object) -> None:
        """End a platform's vigil, after the step that is being taken."""
        with self._lock:
            vigil = self._kept.get(id(platform))
        if vigil is not None:
            vigil.end()


_instances: list[tuple[InstanceRef, dg.DagsterInstance]] = []
_lock = Lock()


def warm_instance(context: dg.SensorEvaluationContext) -> dg.DagsterInstance | None:
    """Return this process' own instance of Dagster, its connections kept; None for one that lives in memory, which cannot be opened twice.

    A tick's own instance is closed with the tick, and on PostgreSQL it makes a connection for every query: 10 to 20 ms an event, 2 ms here.
    """
    ref = context.instance_ref
    if ref is None:
        return None
    with _lock:
        for known, instance in _instances:
            if known == ref:
                return instance
        instance = dg.DagsterInstance.from_ref(ref)
        # What the web server calls for its own; SQLite has nothing to keep.
        instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=20)
        _instances.append((ref, instance))
    # Outside the lock: what closes platforms holds theirs, and asks for ours.
    close_with_platforms(_close_instances)
    return instance


def _close_instances() -> None:
    with _lock:
        while _instances:
            _instances.pop()[1].dispose()
