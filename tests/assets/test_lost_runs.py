"""A run whose process died with the code server is ended by the next one; a run that lives is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test, instance_for_test

from bot3_assets.lost_runs import LostRuns, end_lost_runs, is_process_of_run
from bot3_assets.schedules import longest_run_s


@pytest.fixture
def stored() -> Iterator[dg.DagsterInstance]:
    """Yield an instance with the launcher of `bot3 up`."""
    with instance_for_test() as made:
        yield made


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as made:
        yield made
        made.kill()


def a_run(instance: dg.DagsterInstance, *, pid: int | None) -> str:
    """Make a run that has started in a process; return its id."""
    run = create_run_for_test(instance, job_name="meta_learner", status=dg.DagsterRunStatus.STARTING)
    if pid is not None:
        instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(pid))
    instance.report_dagster_event(dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="meta_learner"), run_id=run.run_id)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_lost_runs_given_a_process_that_was_killed_then_its_run_has_failed_and_the_others_go_on(
    stored: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    alive, unknown = a_run(stored, pid=os.getpid()), a_run(stored, pid=None)
    killed = a_run(stored, pid=process.pid)
    before = end_lost_runs(stored)
    process.kill()
    process.wait()

    assert (before, end_lost_runs(stored)) == (0, 1)

    assert status_of(stored, killed) is dg.DagsterRunStatus.FAILURE
    assert {status_of(stored, run_id) for run_id in (alive, unknown)} == {dg.DagsterRunStatus.STARTED}


def test_lost_runs_given_a_run_that_was_being_canceled_then_it_is_canceled(
    stored: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> None:
    run_id = a_run(stored, pid=process.pid)
    run = stored.get_run_by_id(run_id)
    assert run is not None
    stored.report_run_canceling(run)
    process.kill()
    process.wait()

    end_lost_runs(stored)

    assert status_of(stored, run_id) is dg.DagsterRunStatus.CANCELED


def test_lost_runs_given_a_second_tick_then_looks_no_more(stored: dg.DagsterInstance, process: subprocess.Popen[bytes]) -> None:
    lost = LostRuns()
    lost.end(stored)
    a_run(stored, pid=process.pid)
    process.kill()
    process.wait()

    assert lost.end(stored) == 0


def test_is_process_of_run_given_a_process_that_began_after_the_run_then_it_is_another() -> None:
    now = time.time()

    assert is_process_of_run(os.getpid(), started_at=now)
    assert not is_process_of_run(os.getpid(), started_at=now - 86_400.0)


@pytest.mark.parametrize(("interval_s", "longest_s"), [(60, 48), (300, 240), (600, 480), (3_600, 600)])
def test_longest_run_given_an_interval_then_is_over_before_the_next_beat(interval_s: int, longest_s: int) -> None:
    assert longest_run_s(interval_s) == longest_s
