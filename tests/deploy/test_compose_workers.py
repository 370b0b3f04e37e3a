"""Services `redis` and `worker` of docker-compose.yml, run as compose would: of two workers one is killed, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale import differences, work_alone, work_with
from benchmarks.scale_home import Work, seed_base
from tests.deploy.production import production
from tests.seeded import TINY
from tests.servers import postgres, redis

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.redis]

WORK = Work(weeks=2, feeders=2, trades=30, seed={f"BOT3_{name.upper()}": str(value) for name, value in TINY.items()})


@dataclass(frozen=True, slots=True)
class Done:
    """What one process made, what two workers made, and where their services wrote."""

    alone: dict[str, str]
    workers: dict[str, Any]
    folder: Path
    secrets: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    missing = [*([] if postgres.find_program("initdb") else [postgres.MISSING]), *([] if redis.is_available() else [redis.MISSING])]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("; ".join(missing))
    folder = tmp_path_factory.mktemp("workers")
    with production(folder / "production") as server:
        base = seed_base(server, folder / "base", WORK)
        _, alone = work_alone(base)
        workers = work_with(base, workers=2, poll_s=2, name="killed", kill=True)
        yield Done(alone, workers, folder / "killed", server.secrets)


def test_workers_given_one_killed_in_the_middle_then_its_run_is_retried_and_the_bytes_are_those_of_one_process(done: Done) -> None:
    assert (done.workers["failed"], differences(done.alone, done.workers["made"])) == (1, [])


def test_workers_given_two_then_both_worked(done: Done) -> None:
    assert min(a + b for a, b in zip(*(done.workers[kind]["runs_by_worker"] for kind in ("backfill", "relearn")), strict=True)) > 0


def test_workers_given_passwords_then_no_log_has_one(done: Done) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in done.folder.glob("*.log")}
    secrets = {
        path.name: path.read_text() for path in done.secrets.iterdir() if path.suffix != ".gitignore" and not path.name.startswith(".")
    }

    assert {"worker1.log", "worker2.log", "dagster-daemon.log", "code.log", "webserver.log"} <= set(logs)
    assert [(log, name) for log, text in logs.items() for name, secret in secrets.items() if secret in text] == []
