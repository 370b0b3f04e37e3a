"""Runs go to workers: Dagster's Celery launcher, which also notices that a whole worker is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

if TYPE_CHECKING:
    from dagster import DagsterRun

ANSWER_S = 3.0
"""So long workers are waited for when they are asked what they hold; they answer while a run is under way in their child."""
ASKED = 3
"""So often a worker is asked before it counts as gone: a machine may be busy once."""


class WorkersRunLauncher(CeleryRunLauncher):
    """Starts runs as Celery tasks, and says whether any worker still holds them.

    Celery itself tells of a run whose process died under a worker that lives on. Of a worker that was killed with its process, or whose
    machine is gone, nothing is told: the task stays "started" for ever. So the workers are asked.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return FAILED once no worker holds the run: run monitoring ends it then, and its retry goes to another worker."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The run was never given to a worker.")
        for _ in range(ASKED):
            held = self.is_held(task_id, worker=self._worker_of(task_id))
            # Asked for afterwards: a run that ended in between is held by nobody, but its end is known.
            state = str(self.celery.AsyncResult(task_id).state)
            if state in {"SUCCESS", "FAILURE", "REVOKED"}:
                return _ended(state)
            if held:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"No worker holds the run (task {task_id}, {state.lower()}): its worker is gone.")

    def is_held(self, task_id: str, *, worker: str | None) -> bool:
        """Ask a worker, or all, who has a task. Raises if the broker cannot be asked: that says nothing about a worker."""
        destination = None if worker is None else [worker]
        asked = self.celery.control.inspect(destination=destination, timeout=ANSWER_S, limit=destination and 1)
        answers = asked.query_task([task_id]) or {}
        return any(task_id in found for found in answers.values())

    def _worker_of(self, task_id: str) -> str | None:
        """Return who said that it had started a task; None if nobody did."""
        said = self.celery.backend.get_task_meta(task_id).get("result")
        return said.get("hostname") if isinstance(said, dict) else None


def _ended(state: str) -> CheckRunHealthResult:
    if state == "SUCCESS":
        return CheckRunHealthResult(WorkerStatus.SUCCESS)
    return CheckRunHealthResult(WorkerStatus.FAILED, f"The run's process ended without a word (task {state.lower()}).")
