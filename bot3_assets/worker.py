"""Run a worker, which executes Dagster runs from Redis one after another, with `python -m bot3_assets.worker`.

With the argument `ping`, check whether the worker of this machine responds; the exit code is 0 or 1.

Broker and settings are read from the launcher in the instance file (DAGSTER_HOME). WORKER_NAME distinguishes workers on one machine.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from dagster._core.instance import InstanceRef
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from bot3_assets.launcher import WorkersRunLauncher

if TYPE_CHECKING:
    from celery import Celery

QUEUE = "dagster"
_ANSWER_S = 10.0


def worker_app() -> Celery:
    """Return the Celery application of the instance's launcher, with the tasks that the launcher sends.

    Raises
    ------
    SystemExit
        If the instance uses another run launcher.
    """
    launcher = InstanceRef.from_dir(os.environ["DAGSTER_HOME"]).run_launcher
    if not isinstance(launcher, WorkersRunLauncher):
        sys.exit("the instance in DAGSTER_HOME does not send runs to workers: set DAGSTER_INSTANCE_FILE to dagster-workers.yaml")
    app = launcher.celery
    create_execute_job_task(app)
    create_resume_job_task(app)
    return app


def node_name() -> str:
    """Return the Celery node name of this machine's worker: WORKER_NAME (bot3 by default), @ and the host name."""
    return f"{os.environ.get('WORKER_NAME', 'bot3')}@{socket.gethostname()}"


def work(app: Celery) -> None:
    """Execute runs until stopped; at a stop the current run is completed first."""
    import bot3_assets.definitions  # noqa: F401, PLC0415  # imported once here: the process of each run is forked from this one

    app.worker_main(
        ["worker", "--queues", QUEUE, "--concurrency", "1", "--hostname", node_name(), "--loglevel", "INFO", "--without-mingle"]
    )


def is_alive(app: Celery) -> bool:
    """Return whether the worker of this machine and name responds within ten seconds."""
    return bool(app.control.ping(destination=[node_name()], timeout=_ANSWER_S))


if __name__ == "__main__":
    if sys.argv[1:] == ["ping"]:
        sys.exit(0 if is_alive(worker_app()) else 1)
    work(worker_app())
