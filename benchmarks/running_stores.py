"""Stores for benchmarks of running services: the embedded home of `bot3 up`, or the compose file's services on PostgreSQL and InfluxDB."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.output import tell
from bot3.cli.services import Service, free_port, prepare_dagster_home, services
from bot3.settings import PREFIX, Settings, load_settings
from bot3.wiring import Platform

_NEEDED = ("execution", "code", "dagster-daemon")
_ONCE = ("seed", "lineage")
_SEED_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """A seeded home and its services.

    Parameters
    ----------
    dagster : mapping
        The environment that opens Dagster's instance of this home.
    services : callable
        Returns the execution daemon, the code server and Dagster's daemon; its argument returns whether the execution daemon is healthy.
    """

    settings: Settings
    dagster: Mapping[str, str]
    services: Callable[[Callable[[], bool]], list[Service]]


@contextmanager
def embedded(home: Path) -> Iterator[Stores]:
    """Seed a home and yield its stores in SQLite files, including Dagster's own storage; the execution daemon reads the record.

    BOT3_HOME in the environment is set to the home.
    """
    os.environ["BOT3_HOME"] = str(home)
    subprocess.run([sys.executable, "-m", "bot3.cli.main", "init"], check=True)
    settings = load_settings()
    code_port = free_port()
    dagster_home = prepare_dagster_home(settings, code_port=code_port)

    def made(execution_is_fresh: Callable[[], bool]) -> list[Service]:
        todo = services(settings, dagster_home=dagster_home, code_port=code_port, execution_is_fresh=execution_is_fresh)
        # The health check of Dagster's daemon queries the web server, which is not started here.
        return [replace(one, is_healthy=lambda: True) if one.name == "dagster-daemon" else one for one in todo if one.name in _NEEDED]

    yield Stores(settings=settings, dagster={"DAGSTER_HOME": str(dagster_home)}, services=made)


@contextmanager
def served(folder: Path) -> Iterator[Stores]:
    """Seed a home and yield the compose file's services, each in its own role, on a PostgreSQL and an InfluxDB started for them.

    Commits are durable. The execution daemon's BOT3 settings are set in the environment.
    """
    # The test suite's servers, and its way to run the compose file without Docker.
    composed, servers = import_module("tests.deploy.composed"), import_module("tests.servers.influx")
    with import_module("tests.deploy.production").production(folder, is_durable=True) as postgres, servers.InfluxProgram() as influx:
        place = _place(composed.Place, folder=folder, postgres=postgres, influx=influx)
        os.environ.update({name: value for name, value in place.environment("execution").items() if name.startswith(PREFIX)})
        for name in _ONCE:
            tell(f"{name} ...")
            ended = place.run(name, timeout_s=_SEED_S)
            if ended.returncode:
                raise SystemExit(f"{name} ended with {ended.returncode}:\n{ended.stderr[-2_000:]}")
        code = place.environment("code")
        # In a container the entrypoint reads the password.
        secret = Path(code["DAGSTER_PG_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
        dagster = {name: value for name, value in code.items() if name.startswith("DAGSTER_")} | {"DAGSTER_PG_PASSWORD": secret}
        yield Stores(settings=load_settings(), dagster=dagster, services=lambda is_fresh: _composed(place, is_fresh))


def _place(make: Callable[..., Any], *, folder: Path, postgres: Any, influx: Any) -> Any:
    address = influx.address()
    for name in ("data", "tmp"):
        (folder / name).mkdir()
    token = postgres.secrets / "influx_token"
    token.chmod(0o600)
    token.write_text(address.token, encoding="utf-8")
    ports = {"postgres:5432": postgres.port, "influxdb:8086": int(address.url.rpartition(":")[2]), "4000": free_port()}
    databases = {f"{PREFIX}{name}_DB_PORT": str(postgres.port) for name in ("BOT1", "BOT2", "BOT3", "PLATFORM")}
    ours = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return make(folder=folder, secrets=postgres.secrets, ports=ports, extra={**ours, **databases})


def _composed(place: Any, execution_is_fresh: Callable[[], bool]) -> list[Service]:
    healthy = {"execution": execution_is_fresh, "code": lambda: bool(place.is_healthy("code"))}
    return [
        Service(
            name=name,
            command=tuple(place.command(name)),
            environment=place.environment(name),
            is_healthy=healthy.get(name, lambda: True),
        )
        for name in _NEEDED
    ]


def since(platform: Platform) -> Callable[[], bool]:
    """Return a function that returns whether the execution daemon has sent a heartbeat since `since` was called."""
    began = datetime.now(UTC)
    return lambda: any(beat.process == "execution" and beat.wall_at >= began for beat in platform.control.heartbeats())
