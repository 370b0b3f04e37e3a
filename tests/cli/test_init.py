"""`bot3 init` as a process that is killed in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot3.trading.risk import RiskLatch, TradingState
from bot3.wiring import open_platform
from tests.cli.commands import bot3, environment
from tests.seeded import seeded_home, tiny_settings

pytestmark = pytest.mark.slow  # seeds a home


def version_of(home: Path) -> str:
    with open_platform(tiny_settings(home), read_only=True) as platform:
        return platform.record.parameters.as_of(platform.clock.now()).version


def killed_at(step: str, *, home: Path) -> None:
    """Run `bot3 init` until it has told a step, and kill it."""
    command = [sys.executable, "-m", "bot3.cli.main", "init"]
    with subprocess.Popen(command, env=environment(home), cwd=home.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = next((line for line in process.stderr if step in line), "")
        process.send_signal(signal.SIGKILL)
    assert step in told


def test_init_given_a_kill_then_the_next_one_goes_on_and_comes_to_the_same_learning(nowhere: Path) -> None:
    killed_at("signals", home=nowhere)
    looked = bot3("status", home=nowhere)

    done = bot3("init", home=nowhere)

    assert looked.code == 3
    assert done.code == 0
    assert version_of(nowhere) == version_of(seeded_home())
    again = bot3("init", home=nowhere)
    assert (again.code, "is already seeded" in again.said) == (0, True)


def test_init_given_no_control_store_and_no_lineage_then_makes_the_store_with_its_latches_and_reports_the_lineage(home: Path) -> None:
    assert not (home / "dagster").exists()
    with open_platform(tiny_settings(home)) as platform:
        platform.latch_file("BOT3").save_latch(RiskLatch(state=TradingState.HALTED, reason="halted by command"))
    for file in home.glob("control.sqlite*"):
        file.unlink()
    looked = bot3("status", home=home)

    ended = bot3("init", home=home)

    assert (looked.code, "run `bot3 init`" in looked.said) == (3, True)
    assert ended.code == 0
    with open_platform(tiny_settings(home), read_only=True) as platform:
        assert platform.control.trading_state("BOT3") == (TradingState.HALTED, "halted by command")
        assert platform.control.anchor() is not None
    assert (home / "dagster" / "history" / "runs.db").is_file()
    assert (home / "dagster" / "seed_reported").exists()
