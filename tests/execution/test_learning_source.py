"""Where the daemon reads published learning: as BOT3_PARAMETERS_FROM says, and from nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot3.wiring import open_platform
from tests.cli.commands import environment
from tests.seeded import copy_of_home, tiny_settings

pytestmark = pytest.mark.slow  # a seeded home, and a process

NOBODY = {"BOT3_INFLUX_URL": "http://127.0.0.1:1", "BOT3_INFLUX_READ_TIMEOUT_S": "0.2"}


def version_in_force(home: Path, **changes: str) -> object:
    """Tick the daemon once, and return the version of the parameters it then had."""
    command = [sys.executable, "-m", "execution", "--once"]
    subprocess.run(command, env=environment(home, **changes), cwd=home.parent, check=True, capture_output=True, timeout=120)
    with open_platform(tiny_settings(home), read_only=True) as platform:
        (beat,) = (beat for beat in platform.control.heartbeats() if beat.process == "execution")
    return beat.detail["parameters_version"]


def test_daemon_given_the_record_then_its_parameters_are_in_force(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)

    found = version_in_force(home, **NOBODY, BOT3_PARAMETERS_FROM="record")

    with open_platform(tiny_settings(home), read_only=True) as platform:
        assert found == platform.record.parameters.as_of(platform.clock.now()).version


def test_daemon_given_an_influx_that_is_down_then_takes_no_parameters_from_the_record_instead(tmp_path: Path) -> None:
    assert version_in_force(copy_of_home(tmp_path), **NOBODY, BOT3_PARAMETERS_FROM="influx") is None
