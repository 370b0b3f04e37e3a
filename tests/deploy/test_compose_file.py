"""docker-compose.yml as it stands: every service confined, checked and limited, no secret in it, and nothing named that is not there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from bot3.settings import load_settings
from tests.deploy.composed import COMPOSE, OURS, ROOT, SERVICES

SECRETS = set(COMPOSE["secrets"])
ONCE = {"seed", "lineage", "clock", "backup"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_given_any_then_is_nobody_special_and_limited(name: str) -> None:
    service = SERVICES[name]

    assert int(service["user"].split(":")[0]) > 0
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_service_given_it_goes_on_then_has_a_health_check_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_service_given_ports_then_on_this_machine_only_and_apart_from_the_stores(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
        assert "front" in SERVICES[name]["networks"]
    assert COMPOSE["networks"]["stores"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_service_given_secrets_then_all_are_files_that_it_is_given(name: str) -> None:
    environment = SERVICES[name]["environment"]
    named = {Path(value).name for key, value in environment.items() if value.startswith("/run/secrets/")}

    assert [key for key in environment if re.search(r"(PASSWORD|TOKEN)$", key)] == []
    assert set(SERVICES[name]["secrets"]) >= named
    assert set(SERVICES[name]["secrets"]) <= SECRETS


@pytest.mark.parametrize("name", OURS)
def test_service_given_its_environment_then_every_setting_is_known_and_in_bounds(name: str, tmp_path: Path) -> None:
    given = {key: value for key, value in SERVICES[name]["environment"].items() if key.startswith("BOT3_")}
    for key in [key for key in given if key.endswith("_FILE")]:
        (tmp_path / key).write_text("secret")
        given[key] = str(tmp_path / key)

    settings = load_settings(given, env_file=tmp_path / "no.env")

    assert settings.parameters_from == ("influx" if "influx_token" in SERVICES[name]["secrets"] else "record")
    assert settings.platform_db_password.get_secret_value() == "secret"


@pytest.mark.parametrize("name", OURS)
def test_service_given_its_command_then_its_module_and_files_exist(name: str) -> None:
    command = SERVICES[name]["command"]

    assert importlib.util.find_spec(command[0]) is not None
    assert [word for word in command if word.startswith("/app/") and not (ROOT / Path(word).relative_to("/app")).exists()] == []


def test_dashboard_given_it_only_looks_then_holds_no_secret_of_an_owner() -> None:
    assert set(SERVICES["dashboard"]["secrets"]) == {"reader_db_password"}


def test_influx_token_given_it_may_do_everything_then_is_held_by_writers_and_the_daemon_alone() -> None:
    holders = {name for name in OURS if "influx_token" in SERVICES[name]["secrets"]}

    # The daemon reads only, but owns the record that the copy is made of: a token that only reads would keep nothing from it.
    assert holders == {"seed", "lineage", "code", "webserver", "viewer", "dagster-daemon", "execution", "backup"}


def test_images_given_others_make_them_then_their_versions_are_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}

    assert images == {"bot3:local", "postgres:15-bookworm", "influxdb:2.7.12"}


def test_dockerfile_given_backups_then_its_client_is_of_the_servers_version() -> None:
    version = SERVICES["postgres"]["image"].removeprefix("postgres:").split("-")[0]

    assert f"postgresql-client-{version}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_secrets_given_they_lie_in_the_checkout_then_never_come_into_an_image() -> None:
    (folder,) = {re.search(r":-\./([^}]+)\}", secret["file"])[1] for secret in COMPOSE["secrets"].values()}

    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert any(Path(folder).match(pattern) for pattern in ignored)


def test_dagster_instances_given_two_stores_then_differ_in_nothing_else() -> None:
    embedded, server = (
        yaml.safe_load((ROOT / "deploy" / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("dagster", "dagster-postgres")
    )

    assert server.pop("storage")["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
    assert server == embedded
