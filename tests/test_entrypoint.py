"""The start of a service with secrets from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.entrypoint import make_dagster_home, with_secrets


def secret(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    return str(path)


def test_secrets_given_files_then_are_the_password_and_the_address_of_the_broker(tmp_path: Path) -> None:
    file = secret(tmp_path, "p@ss")

    found = with_secrets({"DAGSTER_PG_PASSWORD_FILE": file, "DAGSTER_REDIS_PASSWORD_FILE": file, "DAGSTER_REDIS_HOST": "redis"})

    assert (found["DAGSTER_PG_PASSWORD"], found["DAGSTER_CELERY_BROKER"]) == ("p@ss", "redis://:p%40ss@redis:6379/0")


@pytest.mark.parametrize("name", ["DAGSTER_PG_PASSWORD", "DAGSTER_REDIS_PASSWORD"])
def test_secrets_given_a_file_that_is_missing_then_exits_and_names_the_variable(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match=f"{name}_FILE names .*which cannot be read"):
        with_secrets({f"{name}_FILE": str(tmp_path / "none"), "DAGSTER_REDIS_HOST": "redis"})


def test_secrets_given_a_brokers_password_without_its_host_then_exits_and_names_both(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="DAGSTER_REDIS_PASSWORD_FILE is set, which requires DAGSTER_REDIS_HOST"):
        with_secrets({"DAGSTER_REDIS_PASSWORD_FILE": secret(tmp_path, "p")})


def test_dagster_home_given_an_instance_file_and_no_home_then_exits_and_names_both() -> None:
    with pytest.raises(SystemExit, match="DAGSTER_INSTANCE_FILE is set, which requires DAGSTER_HOME"):
        make_dagster_home({"DAGSTER_INSTANCE_FILE": "dagster.yaml"})


def test_dagster_home_given_a_file_that_is_missing_then_exits_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"none\.yaml cannot be copied"):
        make_dagster_home({"DAGSTER_INSTANCE_FILE": str(tmp_path / "none.yaml"), "DAGSTER_HOME": str(tmp_path)})
