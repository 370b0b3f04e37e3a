"""Record when the execution daemon and Dagster first show each revision of the parameters, for benchmarks/adaptation.py."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Self

import dagster as dg

from bot3.ports.control import ControlStore, Heartbeat

_PARAMETERS = dg.AssetKey("adaptive_params")


class RevisionWatch(ABC):
    """Record in a thread, between entering and leaving the context, when each newer revision was first seen."""

    every_s = 0.01

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def first_at(self, revision: int) -> float | None:
        """Return when a revision or a later one was first seen (monotonic seconds); None if neither was seen yet."""
        return next((at for at, seen in self._seen if seen >= revision), None)

    @abstractmethod
    def newest(self) -> int | None:
        """Return the revision that is visible now; None if there is none."""

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            revision = self.newest()
            if revision is not None and (not self._seen or revision > self._seen[-1][1]):
                self._seen.append((time.monotonic(), revision))


class HeartbeatWatch(RevisionWatch):
    """Watch the parameters that the execution daemon uses, by its heartbeat."""

    def __init__(self, control: ControlStore) -> None:
        super().__init__()
        self._control = control

    def newest(self) -> int | None:
        """Return the revision in the daemon's heartbeat; None without a heartbeat or parameters in it."""
        return parameters_revision(self._control.heartbeats())


class EventWatch(RevisionWatch):
    """Watch Dagster's event log for materializations of the parameters."""

    every_s = 0.05

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        os.environ.update(environment)
        self._instance = dg.DagsterInstance.get()
        # Pooled connections as in Dagster's web server: a new one for each query would load the machine under test.
        self._instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=5)

    def newest(self) -> int | None:
        """Return the revision of the newest materialization; None if there is none, or if it names no revision."""
        event = self._instance.get_latest_materialization_event(_PARAMETERS)
        materialization = None if event is None else event.asset_materialization
        value = None if materialization is None else materialization.metadata["revision"].value
        return value if isinstance(value, int) else None


def parameters_revision(heartbeats: Iterable[Heartbeat]) -> int | None:
    """Return the revision of the parameters that the execution daemon uses; None if no heartbeat of it reports one."""
    found = next((beat.detail.get("parameters_revision") for beat in heartbeats if beat.process == "execution"), None)
    return int(found) if found is not None else None
