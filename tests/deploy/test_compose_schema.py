"""docker-compose.yml by the Compose specification's own loader: its current schema, and that what services name is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.composed import ROOT, SERVICES

pytestmark = pytest.mark.slow  # the first build compiles the loader, about a quarter of a minute

MISSING = "the compose file is not checked: install Go 1.24 or newer (https://go.dev/dl), with its module proxy or GitHub within reach"
SOURCE = Path(__file__).parent / "compose_check"
FILE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program, built; what it is built of is fetched once and kept where Go keeps it."""
    if shutil.which("go") is None or go("list", "-deps", ".").returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    program = tmp_path_factory.mktemp("compose") / "compose_check"
    built = go("build", "-o", str(program), ".")
    assert built.returncode == 0, built.stderr
    return program


def go(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["go", *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=300, check=False)


def loaded(loader: Path, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([loader, file], capture_output=True, text=True, timeout=30, check=False)


def test_compose_file_given_the_specifications_loader_then_every_service_is_in_it(loader: Path) -> None:
    ended = loaded(loader, FILE)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == sorted(SERVICES)


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("stop_grace_period: 60s", "stop_grace: 60s", "stop_grace"),
        ("networks: [stores]", "networks: [nowhere]", "undefined network nowhere"),
        ('restart: "no"', "restart: [no]", "restart"),
        (
            "seed: {condition: service_completed_successfully}",
            "sed: {condition: service_completed_successfully}",
            'undefined service "sed"',
        ),
        ("secrets: [influx_password, influx_token]", "secrets: [influx_password, lost]", "undefined secret lost"),
    ],
    ids=["unknown key", "unknown network", "wrong type", "unknown service", "unknown secret"],
)
def test_compose_file_given_a_mistake_then_is_refused(loader: Path, tmp_path: Path, good: str, bad: str, reason: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert good in text
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text.replace(good, bad, 1), encoding="utf-8")

    ended = loaded(loader, broken)

    assert ended.returncode == 1
    assert reason in ended.stderr
