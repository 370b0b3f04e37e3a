"""`python -m bot3_assets.worker`: one worker, which takes runs from Redis one after another; `... worker ping` asks it whether it lives.

Broker and settings are those of the launcher in the instance's file (DAGSTER_HOME): said once. WORKER_NAME tells workers of one machine
apart.
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
    """Return the Celery application of the instance's launcher, with the tasks that it sends.

    Raises
    ------
    SystemExit
        If the instance sends its runs elsewhere.
    """
    launcher = InstanceRef.from_dir(os.environ["DAGSTER_HOME"]).run_launcher
    if not isinstance(launcher, WorkersRunLauncher):
        sys.exit("the instance of DAGSTER_HOME starts runs by itself: name dagster-workers.yaml as DAGSTER_INSTANCE_FILE")
    app = launcher.celery
    create_execute_job_task(app)
    create_resume_job_task(app)
    return app


def node_name() -> str:
    """Return the name by which a worker is asked."""
    return f"{os.environ.get('WORKER_NAME', 'bot3')}@{socket.gethostname()}"


def work(app: Celery) -> None:
    """Take runs until told to stop; a run under way is finished first."""
    import bot3_assets.definitions  # noqa: F401, PLC0415  # once here: the process that each run is in begins as a copy of this one

    app.worker_main(
        ["worker", "--queues", QUEUE, "--concurrency", "1", "--hostname", node_name(), "--loglevel", "INFO", "--without-mingle"]
    )


def is_alive(app: Celery) -> bool:
    """Say whether the worker of this machine and name answers."""
    return bool(app.control.ping(destination=[node_name()], timeout=_ANSWER_S))


if __name__ == "__main__":
    if sys.argv[1:] == ["ping"]:
        sys.exit(0 if is_alive(worker_app()) else 1)
    work(worker_app())
