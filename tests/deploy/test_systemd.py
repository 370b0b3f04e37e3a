"""The systemd units: systemd itself finds nothing wrong, they name what exists, and each is confined."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
OPTIONAL = {"bot3-monitor.service", "bot3-metrics.service"}
"""Enabled by who wants them: the one needs a token, the other a Prometheus."""
OWN_UNITS = Path("/usr/lib/systemd/system")


class _Unit(configparser.RawConfigParser):
    """A unit file; names that come several times are joined by spaces."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read(name: str) -> _Unit:
    unit = _Unit(strict=False, interpolation=None)
    unit.read(UNITS / name, encoding="utf-8")
    return unit


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the root of a machine on which BOT3 is installed as the runbook says."""
    if shutil.which("systemd-analyze") is None or not OWN_UNITS.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is not installed: apt-get install systemd")
    folder = tmp_path / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        shutil.copy(unit, folder)
    own = tmp_path / OWN_UNITS.relative_to("/")
    own.mkdir(parents=True)
    for kind in ("*.target", "*.slice"):
        for unit in OWN_UNITS.glob(kind):
            shutil.copy(unit, own, follow_symlinks=True)
    python = tmp_path / "opt" / "bot3" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    return tmp_path


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "verify", "--man=no", f"--root={root}", "bot3.target", *SERVICES]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def complaints(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ended.stderr.splitlines() if "bot3" in line]


def test_units_given_an_installed_machine_then_systemd_finds_nothing_wrong(installed: Path) -> None:
    ended = verify(installed)

    assert (ended.returncode, complaints(ended)) == (0, [])


def test_units_given_a_mistake_then_systemd_says_so(installed: Path) -> None:
    unit = installed / "etc" / "systemd" / "system" / "bot3-strategy.service"
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=sternly"))

    assert any("sternly" in line for line in complaints(verify(installed)))


def modules_of(words: list[str]) -> list[str]:
    """Return the modules that a unit's command starts: the entry point, and the one that it starts."""
    return words[2:4] if words[2] == "bot3.entrypoint" else words[2:3]


@pytest.mark.parametrize("name", SERVICES)
def test_unit_given_its_commands_then_their_modules_and_files_exist(name: str) -> None:
    for command in values(name, "ExecSt(?:art|op)"):
        words = command.split()

        assert words[:2] == ["/opt/bot3/.venv/bin/python", "-m"]
        assert [module for module in modules_of(words) if importlib.util.find_spec(module) is None] == []
        assert [
            word for word in words[3:] if word.startswith("/opt/bot3/") and not (ROOT / Path(word).relative_to("/opt/bot3")).exists()
        ] == []


@pytest.mark.parametrize("name", SERVICES)
def test_unit_given_any_then_runs_as_nobody_special_and_writes_only_its_state(name: str) -> None:
    service = read(name)["Service"]

    assert (service["User"], service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("bot3", "true", "")
    assert (service["ProtectSystem"], service["StateDirectory"]) == ("strict", "bot3")
    assert "ReadWritePaths" not in service


@pytest.mark.parametrize("name", [name for name in SERVICES if values(name, "Type") != ["oneshot"]])
def test_unit_given_it_keeps_ending_then_it_is_started_again_for_ever(name: str) -> None:
    (pause_s,) = values(name, "RestartSec")

    assert (values(name, "StartLimitIntervalSec"), values(name, "Restart")) == (["0"], ["always"])
    assert 5 <= int(pause_s) <= 10


def test_home_unit_given_stores_that_start_later_then_waits_for_them_without_a_limit() -> None:
    # A unit that all others require must not fail: they would never be started.
    assert [command for command in values("bot3-home.service", "ExecStart") if not command.endswith(" --wait")] == []
    assert values("bot3-home.service", "TimeoutStartSec") == ["infinity"]


def test_units_given_what_operators_type_then_every_name_is_there() -> None:
    assert set(SERVICES) >= {f"bot3-{noun}.service" for noun in ("strategy", "controller", "meta-learner", "web", "dashboard", "monitor")}
    assert values("bot3-meta-learner.service", "Alias") == ["bot3-code.service"]
    assert set(read("bot3.target")["Unit"]["Wants"].split()) == set(SERVICES) - OPTIONAL
    assert [name for name in OPTIONAL if values(name, "WantedBy") != ["bot3.target"]] == []


@pytest.mark.parametrize("name", ["bot3-web.service", "bot3-dashboard.service", "bot3-meta-learner.service", "bot3-metrics.service"])
def test_unit_given_it_listens_then_on_this_machine_only(name: str) -> None:
    (command,) = values(name, "ExecStart")

    assert "127.0.0.1" in command
    assert "0.0.0.0" not in command
