"""Whether a run's worker still holds it, asked of a real Redis."""

from __future__ import annotations

import kombu.exceptions
import pytest
import redis.exceptions
from dagster import DagsterRun
from dagster._core.launcher import WorkerStatus

from bot3.cli.services import free_port
from bot3_assets.launcher import WorkersRunLauncher
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    # Celery 5.7 on the Redis client 8.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

TASK = "6a1f3c52-2f0b-4a1c-9a55-8b6a5f1f7d10"


def launcher(url: str) -> WorkersRunLauncher:
    options = {"broker_transport_options": {"max_retries": 1, "interval_start": 0}, "broker_connection_max_retries": 1}
    return WorkersRunLauncher(default_queue="dagster", broker=url, backend=url, config_source=options)


def a_run(task: str | None = TASK) -> DagsterRun:
    return DagsterRun(job_name="retraining", tags={"dagster-celery/task_id": task} if task else {})


def test_health_given_a_run_that_was_never_sent_then_not_found(redis: RedisServer) -> None:
    assert launcher(redis.url).check_run_worker_health(a_run(None)).status is WorkerStatus.NOT_FOUND


@pytest.mark.parametrize(("state", "status"), [("SUCCESS", WorkerStatus.SUCCESS), ("FAILURE", WorkerStatus.FAILED)])
def test_health_given_a_task_that_is_over_then_says_how_it_ended(redis: RedisServer, state: str, status: WorkerStatus) -> None:
    asked = launcher(redis.url)
    asked.celery.backend.store_result(f"ended as {state}", RuntimeError("killed") if state == "FAILURE" else 0, state)

    assert asked.check_run_worker_health(a_run(f"ended as {state}")).status is status


def test_health_given_a_started_task_that_no_worker_holds_then_failed(redis: RedisServer) -> None:
    asked = launcher(redis.url)
    asked.celery.backend.store_result("held-by-nobody", {"hostname": "gone@machine"}, "STARTED")

    found = asked.check_run_worker_health(a_run("held-by-nobody"))

    assert (found.status, "its worker is lost" in str(found.msg)) == (WorkerStatus.FAILED, True)


def test_health_given_no_redis_then_raises_and_condemns_no_run() -> None:
    with pytest.raises((kombu.exceptions.OperationalError, redis.exceptions.ConnectionError)):
        launcher(f"redis://127.0.0.1:{free_port()}/0").check_run_worker_health(a_run())


def test_redis_given_it_was_restarted_then_has_what_waited() -> None:
    with RedisServer() as server:
        launcher(server.url).celery.backend.store_result("kept", 0, "SUCCESS")
        server.stop()
        server.start()

        assert launcher(server.url).celery.AsyncResult("kept").state == "SUCCESS"
