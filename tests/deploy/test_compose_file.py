"""docker-compose.yml as it stands: every service confined, checked and limited, no secret in it, and nothing named that is not there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from bot3.package_files import DAGSTER_CONFIG
from bot3.settings import load_settings
from tests.deploy.composed import COMPOSE, OURS, ROOT, SERVICES, interpolated

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
    given = {key: interpolated(value, {}) for key, value in SERVICES[name]["environment"].items() if key.startswith("BOT3_")}
    if "BOT3_TELEGRAM_TOKEN_FILE" in given:
        given["BOT3_TELEGRAM_CHAT_ID"] = "77"  # a token without a chat is refused
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


def test_services_given_the_instance_file_that_they_name_then_it_is_installed() -> None:
    named = {
        interpolated(service["environment"].get("DAGSTER_INSTANCE_FILE", ""), {})
        for service in SERVICES.values()
        if "environment" in service
    }

    assert named - {""} == {"dagster-postgres.yaml"}
    assert (DAGSTER_CONFIG / "dagster-postgres.yaml").is_file()


@pytest.mark.parametrize("name", ["dashboard", "metrics"])
def test_service_given_it_only_looks_then_holds_no_secret_of_an_owner(name: str) -> None:
    assert set(SERVICES[name]["secrets"]) == {"reader_db_password"}


def test_telegram_given_it_only_reads_the_bots_then_holds_no_bots_secret_and_nobody_else_its_token() -> None:
    environment = SERVICES["telegram"]["environment"]

    assert {environment[f"BOT3_BOT{number}_DB_USER"] for number in (1, 2, 3)} == {"bot3_reader"}
    assert [name for name in SERVICES if "telegram_token" in SERVICES[name].get("secrets", [])] == ["telegram"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        *(("telegram", f"BOT3_{name}") for name in ("TELEGRAM_CHAT_ID", "TELEGRAM_USERS", "TELEGRAM_CLOSES", "TELEGRAM_CONTROL")),
        *((name, "BOT3_NOTICE_QUIET_MINUTES") for name in ("telegram", "code", "dagster-daemon", "worker")),
        *((name, "BOT3_DAGSTER_URL") for name in ("code", "dagster-daemon", "worker")),
    ],
)
def test_service_given_a_setting_of_its_operator_then_it_is_passed_on_else_the_default_stands(name: str, setting: str) -> None:
    value = SERVICES[name]["environment"][setting]
    plain = load_settings({setting: interpolated(value, {})}, env_file=ROOT / "no.env")
    field = setting.removeprefix("BOT3_").lower()

    assert interpolated(value, {setting: "mine"}) == "mine"
    assert getattr(plain, field) == getattr(load_settings({}, env_file=ROOT / "no.env"), field)


@pytest.mark.parametrize(("name", "profile"), [("telegram", "telegram"), ("metrics", "monitoring"), ("viewer", "viewer")])
def test_service_given_not_everybody_wants_it_then_it_has_a_profile(name: str, profile: str) -> None:
    assert SERVICES[name]["profiles"] == [profile]


def test_influx_token_given_it_may_do_everything_then_is_held_by_writers_and_the_daemon_alone() -> None:
    holders = {name for name in OURS if "influx_token" in SERVICES[name]["secrets"]}

    # The daemon reads only, but owns the record that the copy is made of: a token that only reads would keep nothing from it.
    assert holders == {"seed", "lineage", "code", "webserver", "viewer", "dagster-daemon", "worker", "execution", "telegram", "backup"}


def test_images_given_others_make_them_then_their_versions_are_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}

    assert images == {"bot3:local", "postgres:15-bookworm", "influxdb:2.7.12", "redis:7.2-bookworm"}


def test_dockerfile_given_backups_then_its_client_is_of_the_servers_version() -> None:
    version = SERVICES["postgres"]["image"].removeprefix("postgres:").split("-")[0]

    assert f"postgresql-client-{version}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_secrets_given_they_lie_in_the_checkout_then_never_come_into_an_image() -> None:
    (folder,) = {re.search(r":-\./([^}]+)\}", secret["file"])[1] for secret in COMPOSE["secrets"].values()}

    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert any(Path(folder).match(pattern) for pattern in ignored)


def test_dagster_instances_given_two_stores_then_differ_in_nothing_else() -> None:
    embedded, server = (
        yaml.safe_load((DAGSTER_CONFIG / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("dagster", "dagster-postgres")
    )

    assert server.pop("storage")["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
    assert server == embedded


def test_dagster_instances_given_workers_then_differ_in_who_runs_and_in_how_many_at_once() -> None:
    alone, workers = (
        yaml.safe_load((DAGSTER_CONFIG / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("dagster-postgres", "dagster-workers")
    )

    limits = workers["run_coordinator"]["config"].pop("tag_concurrency_limits")
    assert workers["run_coordinator"]["config"].pop("max_concurrent_runs") == {"env": "DAGSTER_WORKERS"}
    assert limits == [limit for limit in alone.pop("concurrency")["runs"]["tag_concurrency_limits"] if limit["key"] == "bot3/beat"]
    assert workers.pop("run_launcher")["class"] == "WorkersRunLauncher"
    assert alone.pop("run_launcher")["class"] == "DefaultRunLauncher"
    assert workers == alone


def test_workers_given_a_message_that_comes_again_then_no_run_can_still_be_under_way() -> None:
    workers = yaml.safe_load((DAGSTER_CONFIG / "dagster-workers.yaml").read_text(encoding="utf-8"))

    visible_after_s = workers["run_launcher"]["config"]["config_source"]["broker_transport_options"]["visibility_timeout"]
    assert visible_after_s > workers["run_monitoring"]["max_runtime_seconds"]


def test_workers_given_their_profile_then_no_other_service_needs_redis() -> None:
    for name, service in SERVICES.items():
        assert (service.get("profiles") == ["workers"]) == (name in {"redis", "worker"})
        assert "redis" not in service.get("depends_on", {}) or name == "worker"
