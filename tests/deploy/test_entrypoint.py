"""How a container starts a module: with Dagster's password from its file, and as the same process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bot3.package_files import DAGSTER_CONFIG

ROOT = str(Path(__file__).resolve().parents[2])


def start(folder: Path, *arguments: str, module: str = "tells", **given: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER_")}
    (folder / "tells.py").write_text("import os, sys; print(os.environ.get('DAGSTER_PG_PASSWORD'), *sys.argv[1:])")
    command = [sys.executable, "-m", "bot3.entrypoint", module, *arguments]
    environment = {**own, "PYTHONPATH": os.pathsep.join((str(folder), ROOT)), **given}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def test_entrypoint_given_a_secret_file_then_the_module_finds_the_secret_and_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim\n")

    assert start(tmp_path, "--one", DAGSTER_PG_PASSWORD_FILE=str(tmp_path / "secret")).stdout == "geheim --one\n"


def test_entrypoint_given_a_password_of_redis_then_the_broker_is_named_with_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("ge/heim\n")
    (tmp_path / "tells_broker.py").write_text("import os; print(os.environ['DAGSTER_CELERY_BROKER'])")

    given = {"DAGSTER_REDIS_PASSWORD_FILE": str(tmp_path / "secret"), "DAGSTER_REDIS_HOST": "redis", "DAGSTER_REDIS_PORT": "6380"}
    ended = start(tmp_path, module="tells_broker", **given)

    assert ended.stdout == "redis://:ge%2Fheim@redis:6380/0\n"


def test_entrypoint_given_no_secret_file_then_just_starts_the_module(tmp_path: Path) -> None:
    assert start(tmp_path, "two").stdout == "None two\n"


def test_entrypoint_given_a_file_that_is_not_there_then_names_it_and_starts_nothing(tmp_path: Path) -> None:
    ended = start(tmp_path, DAGSTER_PG_PASSWORD_FILE=str(tmp_path / "gone"))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{tmp_path / 'gone'}, which cannot be read" in ended.stderr


def test_entrypoint_given_an_instance_file_then_dagster_finds_it_in_its_home(tmp_path: Path) -> None:
    (tmp_path / "instance.yaml").write_text("telemetry: {enabled: false}\n")
    home = tmp_path / "tmp" / "dagster"

    ended = start(tmp_path, DAGSTER_HOME=str(home), DAGSTER_INSTANCE_FILE=str(tmp_path / "instance.yaml"))

    assert ended.returncode == 0
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]


def test_entrypoint_given_the_name_of_an_instance_file_then_takes_the_one_that_is_installed(tmp_path: Path) -> None:
    home = tmp_path / "dagster"

    ended = start(tmp_path, DAGSTER_HOME=str(home), DAGSTER_INSTANCE_FILE="dagster-postgres.yaml")

    assert ended.returncode == 0
    assert (home / "dagster.yaml").read_bytes() == (DAGSTER_CONFIG / "dagster-postgres.yaml").read_bytes()


def test_entrypoint_given_a_shell_that_ignores_interrupts_then_the_module_hears_them(tmp_path: Path) -> None:
    (tmp_path / "tells_signal.py").write_text("import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    command = f"trap '' INT; {sys.executable} -m bot3.entrypoint tells_signal"

    ended = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), ROOT))},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ended.stdout == "True\n"
