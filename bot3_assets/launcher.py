"""Start runs on workers with Dagster's Celery launcher, extended to detect that a worker is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

if TYPE_CHECKING:
    from dagster import DagsterRun

ANSWER_S = 3.0
"""Seconds to wait for workers to respond to a query; a worker also responds while its child process executes a run."""
ASKED = 3
"""Number of queries before a worker counts as lost: a busy machine may miss one."""


class WorkersRunLauncher(CeleryRunLauncher):
    """Starts runs as Celery tasks, and reports whether a worker still executes them.

    Celery itself reports a run whose process died while its worker survived. If the worker was killed too, or its machine is lost, the task
    stays "started" for ever. This launcher therefore queries the workers.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return RUNNING while a worker executes the run, SUCCESS or FAILED after its task has ended, and FAILED if no worker executes it.

        NOT_FOUND if the run was never sent to a worker. After FAILED, Dagster's run monitoring ends the run, and its retry is sent to
        another worker.
        """
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The run was never sent to a worker.")
        for _ in range(ASKED):
            held = self.is_held(task_id, worker=self._worker_of(task_id))
            # Read the state after the query: a run that ended in between is on no worker, but its state is final.
            state = str(self.celery.AsyncResult(task_id).state)
            if state in {"SUCCESS", "FAILURE", "REVOKED"}:
                return _ended(state)
            if held:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"No worker executes the run (task {task_id}, {state.lower()}): its worker is lost."
        )

    def is_held(self, task_id: str, *, worker: str | None) -> bool:
        """Return whether a worker (None: any) has a task. Raises if the broker is unavailable: the workers' state is unknown then."""
        destination = None if worker is None else [worker]
        asked = self.celery.control.inspect(destination=destination, timeout=ANSWER_S, limit=destination and 1)
        answers = asked.query_task([task_id]) or {}
        return any(task_id in found for found in answers.values())

    def _worker_of(self, task_id: str) -> str | None:
        """Return the Celery node name of the worker that reported the task as started; None if no worker did."""
        said = self.celery.backend.get_task_meta(task_id).get("result")
        return said.get("hostname") if isinstance(said, dict) else None


def _ended(state: str) -> CheckRunHealthResult:
    if state == "SUCCESS":
        return CheckRunHealthResult(WorkerStatus.SUCCESS)
    return CheckRunHealthResult(WorkerStatus.FAILED, f"The run's process ended without reporting a result (task {state.lower()}).")
