"""Define the services of one machine: their commands, ports and health checks."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot3.errors import AlreadyRunningError, SettingsError
from bot3.file_replacement import replace_file
from bot3.package_files import DAGSTER_CONFIG, DASHBOARD_SCRIPT
from bot3.settings import Settings
from bot3.usecases.fleet.bot_state import TELEGRAM

ENTRYPOINT = ("-m", "bot3.entrypoint")
"""Arguments of Python that start a Dagster process and set the secrets that Dagster reads only from the environment."""
RELEASED_INSTANCE_FILES = frozenset(
    {
        "6fe68b119b94c015cf896c7b388276d26d0d1204315f01c2d7a41bb104b42c27",
        "9a85e6c972d97cb939f654253b443b4d547b327088b683491b0a1482741f1edd",
        "d67af0d52f95fcd6e3acb84f2b3894d6da438304ee4f72754f64f7511f535dc6",
    }
)
"""SHA-256 digests of all released versions of `dagster.yaml`, including the newest: a file with one of them was not edited."""
_HEALTH_TIMEOUT_S = 3.0
_CANCEL_TIMEOUT_S = 10.0
RUNS_UNDER_WAY = """
{ runsOrError(filter: { statuses: [QUEUED, NOT_STARTED, STARTING, STARTED] }) { ... on Runs { results { runId } } } }
"""
_DAEMONS_NEEDED = {"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process: its command, its environment, and a function that returns whether it works.

    Parameters
    ----------
    address : str or None
        Its address for a browser; None if it has none.
    is_needed : bool
        If True and the service ends at start-up with an error that a person must correct, all services are stopped. In every other case a
        service that ends is restarted.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_healthy: Callable[[], bool]
    address: str | None = None
    is_needed: bool = True


def one_thread() -> Mapping[str, str]:
    """Return the environment variable that limits linear algebra to one thread; a value that is set already is not changed.

    The matrices used in learning are small: threads of linear algebra that wait for each other cost up to four times what they save. numpy
    reads this setting when it is imported, so it must be set when the process starts.
    """
    return {"OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1")}


def child_environment() -> dict[str, str]:
    """Return the environment of a Python process of the platform, which then imports no modules from its working directory."""
    return {**os.environ, **one_thread(), "PYTHONSAFEPATH": "1"}


def free_port() -> int:
    """Return a port of 127.0.0.1 on which no process listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def require_free_port(port: int, *, setting: str) -> None:
    """Raise AlreadyRunningError, with the name of the port's setting, if a process listens on a port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise AlreadyRunningError(
                f"port {port} is in use: stop the process that uses it (`bot3 down` if it is this platform), or set {setting} to another"
            ) from error


def prepare_dagster_home(settings: Settings, *, code_port: int) -> Path:
    """Create the home's directory DAGSTER_HOME with Dagster's instance and workspace files; return its path.

    An instance file (`dagster.yaml`) that differs from all released versions was edited by the operator and is not overwritten.
    """
    home = (settings.home / "dagster").resolve()
    template = DAGSTER_CONFIG / "dagster.yaml"
    if not template.exists():
        raise SettingsError(f"{template} is missing: install bot3 again")
    instance = home / "dagster.yaml"
    if not instance.exists() or _digest(instance) in RELEASED_INSTANCE_FILES:
        replace_file(instance, template.read_bytes())
    workspace = {"load_from": [{"grpc_server": {"host": "127.0.0.1", "port": code_port, "location_name": "bot3"}}]}
    # Every JSON document is valid YAML.
    replace_file(home / "workspace.yaml", json.dumps(workspace).encode())
    return home


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def services(
    settings: Settings,
    *,
    dagster_home: Path,
    code_port: int,
    execution_is_fresh: Callable[[], bool],
    telegram_is_fresh: Callable[[], bool] = lambda: True,
) -> list[Service]:
    """Return all services in the order in which they are started; the Telegram process only if a token is set."""
    python = sys.executable
    base = {**child_environment(), "BOT3_HOME": str(settings.home.resolve()), "PYTHONUNBUFFERED": "1"}
    dagster = {**base, "DAGSTER_HOME": str(dagster_home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    workspace = str(dagster_home / "workspace.yaml")
    web, page = f"http://127.0.0.1:{settings.dagster_port}", f"http://127.0.0.1:{settings.dashboard_port}"
    code = (python, *ENTRYPOINT, "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(code_port), "-m", "bot3_assets.definitions")
    return [
        Service(
            name="execution",
            command=(python, "-m", "execution"),
            environment=base,
            is_healthy=execution_is_fresh,
        ),
        Service(
            name="code",
            command=(*code, "--empty-working-directory", "--location-name", "bot3"),
            environment=dagster,
            is_healthy=lambda: _listens(code_port),
        ),
        Service(
            name="dashboard",
            command=(python, "-m", "streamlit", "run", str(DASHBOARD_SCRIPT), "--server.port", str(settings.dashboard_port), *_STREAMLIT),
            environment=base,
            is_healthy=lambda: _answers(f"{page}/_stcore/health"),
            address=page,
        ),
        Service(
            name="dagster-web",
            command=(python, *ENTRYPOINT, "bot3_assets.web", "-H", "127.0.0.1", "-p", str(settings.dagster_port), "-w", workspace),
            environment=dagster,
            is_healthy=lambda: location_is_loaded(web),
            address=web,
        ),
        Service(
            name="dagster-daemon",
            command=(python, *ENTRYPOINT, "dagster._daemon", "run", "-w", workspace),
            environment=dagster,
            is_healthy=lambda: daemons_are_healthy(web),
        ),
        *_telegram(settings, environment=base, is_fresh=telegram_is_fresh),
    ]


def _telegram(settings: Settings, *, environment: Mapping[str, str], is_fresh: Callable[[], bool]) -> list[Service]:
    if not settings.telegram_token.get_secret_value():
        return []
    command = (sys.executable, "-m", "telegram_bot")
    # An invalid token or chat must not stop trading.
    return [Service(name=TELEGRAM, command=command, environment=environment, is_healthy=is_fresh, is_needed=False)]


_STREAMLIT = ("--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false")


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(_HEALTH_TIMEOUT_S)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=_HEALTH_TIMEOUT_S) as answer:  # noqa: S310  # 127.0.0.1 only
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def query_dagster(web: str, query: str, *, timeout_s: float = _HEALTH_TIMEOUT_S) -> Mapping[str, object] | None:
    """Return the data of a GraphQL query to Dagster's web server; None if it cannot be reached or its response has no data."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{web}/graphql", data=body, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            data = json.load(answer).get("data")
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def cancel_runs(web: str) -> int:
    """Cancel every queued or running run of Dagster; return how many were canceled.

    Without this, runs whose services are stopped would stay marked as running. The result is also 0 if Dagster does not respond or rejects
    the request; the next code server then ends these runs.
    """
    data = query_dagster(web, RUNS_UNDER_WAY)
    found = data.get("runsOrError") if data else None
    ids = [run["runId"] for run in found.get("results", ())] if isinstance(found, dict) else []
    if not ids:
        return 0
    answer = query_dagster(web, termination(ids), timeout_s=_CANCEL_TIMEOUT_S)
    ended = answer.get("terminateRuns") if answer else None
    results = ended.get("terminateRunResults", ()) if isinstance(ended, dict) else ()
    return sum(result["__typename"] == "TerminateRunSuccess" for result in results)


def termination(run_ids: Sequence[str]) -> str:
    """Return the GraphQL mutation that marks runs as canceled, whether or not their processes respond."""
    policy = "terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY"
    results = "... on TerminateRunsResult { terminateRunResults { __typename } }"
    return f"mutation {{ terminateRuns(runIds: {json.dumps(run_ids)}, {policy}) {{ {results} }} }}"


def location_is_loaded(web: str) -> bool:
    """Return whether Dagster's web server responds and has loaded a code location."""
    data = query_dagster(web, "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }")
    found = data.get("repositoriesOrError") if data else None
    return isinstance(found, dict) and bool(found.get("nodes"))


def daemons_are_healthy(web: str) -> bool:
    """Return whether Dagster's web server responds and its sensor, schedule and run queue daemons send heartbeats."""
    data = query_dagster(web, "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
    if not data:
        return False
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]  # type: ignore[index]
    return {item["daemonType"] for item in statuses if item["healthy"]} >= _DAEMONS_NEEDED
