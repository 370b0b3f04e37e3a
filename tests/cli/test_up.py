"""`bot3 up` as a process: everything healthy, addresses answer, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bot3.cli.services import free_port
from bot3.wiring import open_platform
from tests.cli.commands import bot3, environment
from tests.seeded import tiny_settings

pytestmark = pytest.mark.slow  # five services

READY = "Ctrl-C stops everything."
HEALTHY_WITHIN_S = 150.0


@dataclass
class Served:
    """A supervisor that runs, and what it said until it was ready."""

    process: subprocess.Popen[str]
    home: Path
    ports: tuple[int, int]
    said: str

    def services(self) -> list[psutil.Process]:
        state = json.loads((self.home / "run" / "supervisor.json").read_text())
        return [psutil.Process(int(pid)) for pid, _ in state["services"].values()]


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    ports = (free_port(), free_port())
    given = environment(home, BOT3_DAGSTER_PORT=str(ports[0]), BOT3_DASHBOARD_PORT=str(ports[1]))
    command = [sys.executable, "-m", "bot3.cli.main", "up", "--stop-after-s", "120"]
    process = subprocess.Popen(command, env=given, cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield Served(process, home, ports, _said_until_ready(process))
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.communicate()


def _said_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if READY in line:
            return said
    pytest.fail(f"`bot3 up` ended with {process.wait()} before it was ready:\n{said}")


def test_up_given_ctrl_c_then_had_served_all_and_leaves_nothing_behind_but_a_market_that_stands_still(served: Served) -> None:
    services = served.services()
    children = [child for service in services for child in [service, *service.children(recursive=True)]]
    looked = bot3("status", "--json", home=served.home)
    well = bot3("doctor", "--json", home=served.home, BOT3_DAGSTER_PORT=str(served.ports[0]), BOT3_DASHBOARD_PORT=str(served.ports[1]))
    second = bot3("up", home=served.home)
    page, graph = (urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10).status for port in reversed(served.ports))

    served.process.send_signal(signal.SIGINT)
    code = served.process.wait(60)

    assert [name for name in ("execution", "code", "dashboard", "dagster-web", "dagster-daemon") if f"{name} " not in served.said] == []
    assert (looked.code, [s["service"] for s in looked.json()["services"] if not s["is_running"]]) == (0, [])
    assert (well.code, [f for f in well.json()["findings"] if not f["is_good"]]) == (0, [])
    assert (page, graph) == (200, 200)
    assert second.code == 6
    assert code == 0
    assert len(services) == 5
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert not (served.home / "run" / "supervisor.json").exists()
    # The market stops where the daemon left it.
    with open_platform(tiny_settings(served.home), read_only=True) as platform:
        anchor, beats = platform.control.anchor(), platform.control.heartbeats()
    assert anchor is not None
    assert not anchor.is_running
    assert [beat.state for beat in beats if beat.process == "execution"] == ["stopped"]


def test_up_given_a_fleet_file_that_is_refused_then_says_so_before_it_starts_anything(home: Path, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text('[[bots]]\nname = "A"\nurl = "a.sqlite"\nrun_mode = "dry_run"\n')

    ended = bot3("up", home=home, BOT3_FLEET_FILE=str(tmp_path / "fleet.toml"))

    assert (ended.code, "run_mode: Input should be 'paper' or 'live'" in ended.said, "healthy" in ended.said) == (2, True, False)
