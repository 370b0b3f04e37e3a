"""Failed runs are told: one message a failure, repeated ones counted, none lost while nobody can be reached."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bot3.errors import StoreBusyError, StoreError
from bot3.settings import load_settings
from bot3.wiring import Platform, open_platform
from bot3_assets.definitions import location
from bot3_assets.resources import PlatformResource
from bot3_assets.telling import NOBODY, TIMES, WAIT_S, deliver, keep, name_of, run_failed
from tests.servers.bot_api import TOKEN, BotApi

_given: dict[str, Platform] = {}


class GivenPlatform(PlatformResource):
    """The resource over a platform that a test opened: Dagster copies resources, so that it is found by its home."""

    def platform(self) -> Platform:
        return _given[self.home]


def locked() -> None:
    raise StoreError("postgresql://bot3:hunter2@db/bot3 is locked\nsecond line")


@dg.op
def learn() -> None:
    try:
        locked()
    except StoreError as error:
        raise RuntimeError("the step failed") from error


@dg.job(tags={"dagster/partition": "BOT3"})
def backlog_like() -> None:
    learn()


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def platform_of(stack: ExitStack, home: Path, **environment: str) -> Platform:
    settings = load_settings({f"BOT3_{name}": value for name, value in environment.items()}, env_file=home / "no.env", home=home)
    platform = stack.enter_context(open_platform(settings))
    return _given.setdefault(str(home), platform)


def told_by(api: BotApi, stack: ExitStack, home: Path, **more: str) -> Platform:
    return platform_of(stack, home, TELEGRAM_TOKEN=TOKEN, TELEGRAM_CHAT_ID="77", TELEGRAM_API_URL=api.url, **more)


def fail(instance: dg.DagsterInstance, platform: Platform, said: list[str] | None = None) -> list[str]:
    """Let a run fail, and the sensor look at it; return the sensor's log."""
    result = backlog_like.execute_in_process(instance=instance, raise_on_error=False)
    plain = dg.build_run_status_sensor_context(
        sensor_name="run_failed", dagster_event=result.get_run_failure_event(), dagster_instance=instance, dagster_run=result.dagster_run
    )
    context = plain.for_run_failure()
    said = [] if said is None else said
    with _heard(context, said):
        run_failed(context, platform=GivenPlatform(home=str(platform.settings.home)))
    return said


class _heard:  # noqa: N801  # a context manager, read as a verb
    def __init__(self, context: Any, said: list[str]) -> None:

        self._log, self._handler = context.log, logging.Handler()
        self._handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]

    def __enter__(self) -> None:
        self._log.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        self._log.removeHandler(self._handler)


def test_run_failed_given_a_token_then_people_are_told_which_where_and_why(
    api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    fail(instance, told_by(api, opening, tmp_path, DAGSTER_URL="https://dagster.example/"))

    (text,) = api.texts
    (run,) = instance.get_runs()
    assert text.splitlines() == [
        "<b>Run failed: backlog_like</b>",
        f"run {run.run_id[:8]}, partition BOT3",
        "learn: bot3.errors.StoreError: postgresql://bot3:***@db/bot3 is locked",
        f"https://dagster.example/runs/{run.run_id}",
    ]


def test_run_failed_given_the_same_job_again_then_it_is_counted_not_told(
    api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = told_by(api, opening, tmp_path)

    for _ in range(3):
        fail(instance, platform)

    assert len(api.texts) == 1
    assert platform.notices.waiting() == 1


def test_run_failed_given_no_quiet_then_each_is_told(api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = told_by(api, opening, tmp_path, NOTICE_QUIET_MINUTES="0")

    for _ in range(2):
        fail(instance, platform)

    assert len(api.texts) == 2


def test_run_failed_given_nobody_is_reached_then_the_log_says_so_and_it_is_told_later(
    api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = told_by(api, opening, tmp_path)
    api.faults["sendMessage"] = [500]

    said = fail(instance, platform)

    assert any("1 pending; Telegram was not reached, or failed" in line for line in said)
    assert (api.texts, platform.notices.waiting()) == ([], 1)


class Busy:
    """A queue that is busy so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.kept, self.slept = times, 0, list[float]()

    def __call__(self) -> None:
        if self.times:
            self.times -= 1
            raise StoreBusyError("the control store is locked")
        self.kept += 1


def test_keep_given_a_store_that_is_busy_for_a_while_then_the_notice_is_kept_once() -> None:
    queue = Busy(TIMES - 1)

    keep(queue, sleep=queue.slept.append)

    assert (queue.kept, queue.slept) == (1, [WAIT_S] * (TIMES - 1))


def test_keep_given_a_store_that_stays_busy_then_says_so() -> None:
    queue = Busy(TIMES)

    with pytest.raises(StoreBusyError):
        keep(queue, sleep=queue.slept.append)


def test_run_failed_given_a_store_that_refuses_then_the_log_names_the_run_that_nobody_is_told_of(
    api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = told_by(api, opening, tmp_path)
    with sqlite3.connect(tmp_path / "control.sqlite") as control:
        platform.notices.waiting()
        control.execute("DROP TABLE notices")
    said: list[str] = []

    with pytest.raises(StoreError):
        fail(instance, platform, said)

    (run,) = instance.get_runs()
    assert any(line.startswith(f"run {run.run_id} of backlog_like failed, and no notice was queued: ") for line in said)


def test_run_failed_given_no_chat_then_its_log_alone_says_it(opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = platform_of(opening, tmp_path)

    said = fail(instance, platform)

    assert NOBODY in said
    assert any("of backlog_like failed" in line for line in said)
    assert platform.notices.waiting() == 0


def test_run_failed_given_a_chat_and_no_token_then_it_waits_for_another_process(
    api: BotApi, opening: ExitStack, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_of(opening, tmp_path, TELEGRAM_CHAT_ID="77")

    said = fail(instance, platform)

    assert any("1 notices are pending for `python -m telegram_bot`" in line for line in said)
    _given.clear()
    assert deliver(told_by(api, opening, tmp_path)).startswith("1 notices sent")
    assert len(api.texts) == 1


def test_location_given_a_notifier_then_a_sensor_tells_what_waits() -> None:
    def sensors(*, has_notifier: bool) -> set[str]:
        return {sensor.name for sensor in location(has_copy=False, has_notifier=has_notifier).sensors or ()}

    assert sensors(has_notifier=True) - sensors(has_notifier=False) == {"waiting_notices"}


def test_name_given_assets_asked_for_by_hand_then_names_them() -> None:
    by_hand = dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=frozenset({dg.AssetKey("features"), dg.AssetKey("candles")}))

    assert name_of(by_hand) == "candles, features"
    assert name_of(dg.DagsterRun(job_name="backlog")) == "backlog"
