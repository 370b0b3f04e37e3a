"""Run a tick of the sensor in a separate process, which kills itself with SIGKILL before its nth durable step.

Nothing is stored between two commits, so a kill before a commit is equivalent to a kill at any point since the previous one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["bot3_assets.definitions", "bot3.wiring", "bot3.usecases.learning.relearn", "bot3.adapters.simulated.market"]
)


@dataclass
class Guillotine:
    """Count the commits of this process to any database, and kill the process before the nth; 0 only counts."""

    at: int = 0
    steps: list[str] = field(default_factory=list)

    def stand(self) -> None:
        """Listen to every commit from now on."""
        event.listen(sa.Engine, "commit", self._commit)

    def _commit(self, connection: sa.Connection) -> None:
        # A connection that only read commits too, but stores nothing.
        if not connection.info.pop("wrote", False):
            return
        self.steps.append(Path(str(connection.engine.url.database)).stem)
        if len(self.steps) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        """Record that a connection has written."""
        if statement.lstrip().split(" ", 1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
            connection.info["wrote"] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Result of a completed tick: its cursor, and the databases that it committed to, in order."""

    cursor: str
    steps: list[str]


def tick(home: Path, dagster_home: Path, *, cursor: str | None, dies_at: int = 0) -> Tick | None:
    """Run a tick in a separate process; return its result, or None if it was killed."""
    ours, theirs = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_be_the_code_server, args=(home, dagster_home, cursor, dies_at, theirs))
    process.start()
    theirs.close()
    process.join(120)
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0, process.exitcode
    return Tick(**json.loads(ours.recv()))


def _be_the_code_server(home: Path, dagster_home: Path, cursor: str | None, dies_at: int, answer: Connection) -> None:
    import dagster as dg  # noqa: PLC0415  # only the forked child loads Dagster
    from dagster._core.instance.ref import InstanceRef  # noqa: PLC0415  # only the forked child loads Dagster

    from bot3_assets.definitions import defs  # noqa: PLC0415  # only the forked child loads Dagster
    from bot3_assets.resources import PlatformResource  # noqa: PLC0415  # only the forked child loads Dagster
    from bot3_assets.sensors import closes_to_parameters  # noqa: PLC0415  # only the forked child loads Dagster
    from tests.seeded import tiny_environment  # noqa: PLC0415  # only the forked child loads Dagster

    os.environ.update(tiny_environment(home))
    guillotine = Guillotine(at=dies_at)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(dagster_home))) as instance:
        resource = PlatformResource(home=str(home))
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs, resources={"platform": resource})
        event.listen(sa.Engine, "before_cursor_execute", guillotine.note)
        guillotine.stand()
        done = closes_to_parameters.evaluate_tick(context)
        answer.send(json.dumps({"cursor": done.cursor, "steps": guillotine.steps}))
    # The cleanup of the parent process must not run here.
    os._exit(0)
