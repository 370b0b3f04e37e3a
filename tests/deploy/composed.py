"""Run docker-compose.yml without Docker: each service's command and environment, with its paths and addresses on this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bot3.entrypoint import with_secrets
from bot3.package_files import DAGSTER_CONFIG
from bot3.settings import Settings, load_settings
from tests.cli.command_server import command_server

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "bot3:local")
ENTRYPOINT = [sys.executable, "-m", "bot3.entrypoint"]
_PORTS_OF = {"DAGSTER_PG_PORT": "postgres", "DAGSTER_REDIS_PORT": "redis", "REDIS_PORT": "redis"}


def interpolated(value: str, variables: Mapping[str, str]) -> str:
    """Interpolate a value as compose does: ${NAME:-default} is the variable, or the default if the variable is not set."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1], found[2]), value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Mapping of the containers' paths and addresses to this machine.

    Parameters
    ----------
    ports : mapping
        By "name:port" of the compose network, such as "postgres:5432", or by the port that a service listens on, such as "3000".
    extra : mapping
        Additional variables for every service.
    variables : mapping
        Variables that the file reads from the environment of `docker compose`, such as DAGSTER_WORKERS.
    """

    folder: Path
    secrets: Path
    ports: Mapping[str, int]
    extra: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """Return a text with the containers' paths replaced; also translates files that name other services."""
        if text == "/app/bot3_assets/config/workspace-compose.yaml":
            return str(self._workspace())
        roots = {"/app/.venv/bin/python": sys.executable, "/app": str(ROOT), "/run/secrets": str(self.secrets)}
        roots |= {folder: f"{self.folder}{folder}" for folder in ("/data", "/tmp", "/backups")}  # noqa: S108  # paths of containers
        return re.sub(rf"^({'|'.join(roots)})(?=/|$)", lambda found: roots[found[1]], text)

    def command(self, name: str) -> list[str]:
        """Return the command of a service's container."""
        words = [self._word(self.path(word)) for word in SERVICES[name]["command"]]
        return [*ENTRYPOINT, *words] if name in OURS else words

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service, as defined by the image and the service."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("BOT3_", "DAGSTER_", "PG"))}
        # Without a directory of its own, a service reads the kernels that earlier processes compiled: compiling them takes 20 s of a core.
        containers = {key: value for key, value in SERVICES[name]["environment"].items() if key != "NUMBA_CACHE_DIR"}
        given = {key: self._value(key, value) for key, value in containers.items()}
        return {**own, **given, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.extra}

    def run(self, name: str, *, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a service that ends, and wait for its end."""
        return self.execute(name, self.command(name), timeout_s=timeout_s)

    def bot3(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command `bot3` in a service's environment, with the paths of its volumes translated."""
        environment = with_secrets(self.environment(name))
        return command_server().run([*map(self.path, arguments)], environment=environment, directory=self.folder, timeout_s=300.0)

    def is_open(self, port: str) -> bool:
        """Return whether a service listens on a port, which costs less than its health check, a process."""
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.ports[port])) == 0

    def settings(self, name: str) -> Settings:
        """Return the settings that a service reads."""
        given = {key: value for key, value in self.environment(name).items() if key.startswith("BOT3_")}
        return load_settings(given, env_file=self.folder / "no.env")

    def execute(self, name: str, command: list[str], *, timeout_s: float = 150.0, **own: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's environment, as `docker compose exec` would."""
        return subprocess.run(
            command, env={**self.environment(name), **own}, cwd=self.folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def start(self, name: str, *, log: str | None = None, **own: str) -> subprocess.Popen[bytes]:
        """Start a long-running service with additional variables; its output is written to a file with its name, or the given one."""
        environment = {**self.environment(name), **own}
        with (self.folder / f"{log or name}.log").open("ab") as output:
            return subprocess.Popen(self.command(name), env=environment, cwd=self.folder, stdout=output, stderr=output)

    def is_healthy(self, name: str, **own: str) -> bool:
        """Run the health check of a service, with the variables that the service was started with."""
        words = [self.path(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        return self.execute(name, [self._word(word) for word in words], **own).returncode == 0

    def _word(self, word: str) -> str:
        if word == "0.0.0.0":
            return "127.0.0.1"
        return re.sub(r"(?<![\d.])\d{4}(?!\d)", lambda found: str(self.ports.get(found[0], found[0])), word)

    def _value(self, key: str, value: str) -> str:
        value = interpolated(value, self.variables)
        if key.endswith("_HOST") or value == "0.0.0.0":
            return "127.0.0.1"
        if key in _PORTS_OF:
            return str(self.ports.get(f"{_PORTS_OF[key]}:{value}", value))
        found = re.fullmatch(r"http://(\w+:\d+)", value)
        return f"http://127.0.0.1:{self.ports[found[1]]}" if found else self.path(value)

    def _workspace(self) -> Path:
        workspace = yaml.safe_load((DAGSTER_CONFIG / "workspace-compose.yaml").read_text(encoding="utf-8"))
        for entry in workspace["load_from"]:
            server = entry["grpc_server"]
            server.update(host="127.0.0.1", port=self.ports[str(server["port"])])
        path = self.folder / "workspace-compose.yaml"
        path.write_text(yaml.safe_dump(workspace), encoding="utf-8")
        return path
