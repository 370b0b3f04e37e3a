"""The daemon as a real process: it ends in order, refuses a home that is taken, and is killed without a promise broken."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kill_daemons import make_home
from benchmarks.kill_execution import kill_daemons
from bot3.settings import Settings
from bot3.wiring import open_platform
from execution.lease import lease

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_home(tmp_path_factory.mktemp("home"))


def daemon(home: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BOT3_")}
    return subprocess.Popen(
        [sys.executable, "-m", "execution"],
        env=environment | {"BOT3_HOME": str(home), "BOT3_SEED_DAYS": "42"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def running(home: Settings) -> Iterator[subprocess.Popen[str]]:
    """Return a daemon that has given a sign of life."""
    process = daemon(home.home)
    until = time.monotonic() + PATIENCE_S
    try:
        while beat_of(home) != (process.pid, "running"):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until, "the daemon gave no sign of life"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def beat_of(settings: Settings) -> tuple[int, str] | None:
    with open_platform(settings, read_only=True) as platform:
        beats = [beat for beat in platform.control.heartbeats() if beat.process == "execution"]
    return (beats[0].pid, beats[0].state) if beats else None


def test_execution_given_sigterm_then_ends_within_seconds_and_says_so(home: Settings, running: subprocess.Popen[str]) -> None:
    running.terminate()

    assert running.wait(timeout=10.0) == 0
    assert beat_of(home) == (running.pid, "stopped")
    assert not (home.home / "execution.pid").exists()


def test_execution_given_a_home_that_is_traded_already_then_ends_with_6_and_names_the_holder(home: Settings) -> None:
    with lease(home.home):
        second = daemon(home.home)
        said, _ = second.communicate(timeout=PATIENCE_S)

    assert second.returncode == 6
    assert f"is already traded by process {os.getpid()}: stop that process first" in said


def test_execution_given_an_empty_home_then_ends_with_3_and_names_the_remedy(tmp_path: Path) -> None:
    process = daemon(tmp_path)
    said, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 3
    assert "run `bot3 init`" in said


def test_execution_given_kills_at_random_moments_then_every_promise_holds_after_each_restart(home: Settings) -> None:
    found = kill_daemons(home, kills=6, seed=3)

    assert found["violations_by_promise"] == {}
    assert found["entries"] >= 20
    assert found["trades_closed"] >= 5
