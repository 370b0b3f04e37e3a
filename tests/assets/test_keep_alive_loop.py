"""What a sensor does between its ticks: for as long as they come, through stores that are busy, and not after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import dagster as dg
import pytest
from dagster import SensorEvaluationContext
from structlog.testing import capture_logs

from bot3.errors import StoreBusyError, StoreError
from bot3_assets.keep_alive_loop import KeepAliveLoop, KeepAliveLoops, warm_instance
from bot3_assets.resources import PlatformResource, close_platforms
from bot3_assets.sensors import closes_to_parameters
from tests.assets.test_sensors import close_trades, told

PATIENCE_S = 20.0


class Steps:
    """Counts steps, fails as it is told, and lets a test wait for one."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.taken = 0
        self.third = Event()

    def __call__(self) -> None:
        self.taken += 1
        if self.taken >= 3:
            self.third.set()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure


Watch = Callable[[KeepAliveLoop], KeepAliveLoop]


@pytest.fixture
def watched() -> Iterator[Watch]:
    """Return what ends a loop after the test."""
    begun: list[KeepAliveLoop] = []

    def watch(loop: KeepAliveLoop) -> KeepAliveLoop:
        begun.append(loop)
        return loop

    yield watch
    for loop in begun:
        loop.end()


def test_loop_given_a_tick_then_repeats_its_step_until_it_is_ended(watched: Watch) -> None:
    steps = Steps()
    loop = watched(KeepAliveLoop("test", steps, poll_s=0.001))

    loop.renew()
    is_repeated = steps.third.wait(PATIENCE_S)
    loop.end()

    taken = steps.taken
    assert is_repeated
    assert not loop.is_running
    assert steps.taken == taken


def test_loop_given_no_further_tick_then_ends_with_its_lease(watched: Watch) -> None:
    steps = Steps()
    loop = watched(KeepAliveLoop("test", steps, poll_s=0.001, lease_s=0.0))

    loop.renew()
    loop.join()

    assert not loop.is_running
    assert steps.taken == 0


def test_loop_given_a_store_that_is_busy_then_goes_on(watched: Watch) -> None:
    steps = Steps(StoreBusyError("locked"))
    loop = watched(KeepAliveLoop("test", steps, poll_s=0.001))

    with capture_logs() as logs:
        loop.renew()
        is_repeated = steps.third.wait(PATIENCE_S)
        loop.end()

    assert is_repeated
    assert [entry["event"] for entry in logs] == ["keep_alive_loop_delayed"]


def test_loop_given_a_step_that_fails_then_ends_and_the_next_tick_begins_it_again(watched: Watch) -> None:
    steps = Steps(None, StoreError("damaged"))
    loop = watched(KeepAliveLoop("test", steps, poll_s=0.001))

    with capture_logs() as logs:
        loop.renew()
        loop.join()
        is_over, taken = not loop.is_running, steps.taken
        loop.renew()
        is_repeated = steps.third.wait(PATIENCE_S)

    assert (is_over, taken, is_repeated) == (True, 2, True)
    assert [entry["event"] for entry in logs] == ["keep_alive_loop_failed"]


def test_loops_given_the_platforms_are_closed_then_end_before() -> None:
    steps, loops, platform = Steps(), KeepAliveLoops("test", poll_s=0.001), object()
    loops.renew(platform, steps)
    is_repeated = steps.third.wait(PATIENCE_S)

    close_platforms()

    taken = steps.taken
    assert is_repeated
    assert steps.taken == taken


@pytest.mark.slow  # a seeded home
def test_sensor_given_a_tick_then_a_close_after_it_is_learned_and_told_without_another(resource: PlatformResource, tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = SensorEvaluationContext(
            instance_ref=instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            log_key=None,
            repository_name=None,
            sensor_name="closes_to_parameters",
            resources={"platform": resource},
        )
        with context:
            closes_to_parameters.evaluate_tick(context)
        before = len(told(instance, "adaptive_params"))

        close_trades(Path(resource.home))

        deadline = time.monotonic() + PATIENCE_S
        while len(told(instance, "adaptive_params")) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(told(instance, "adaptive_params")) == before + 1
        close_platforms()


def test_warm_instance_given_one_in_memory_then_there_is_none(instance: dg.DagsterInstance) -> None:
    assert warm_instance(dg.build_sensor_context(instance=instance)) is None
