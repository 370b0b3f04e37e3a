"""Every service of docker-compose.yml, run as compose would: on PostgreSQL and InfluxDB, in its own role, to a materialization."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from bot3.cli.services import free_port
from bot3.usecases.back_up import read_manifest
from tests.deploy.composed import SERVICES, Place
from tests.deploy.production import Production
from tests.seeded import TINY
from tests.servers.influx import InfluxProgram

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.influx]

ONCE = ("seed", "lineage", "clock")
SERVED = ("code", "webserver", "viewer", "dagster-daemon", "execution", "dashboard")
WORKERS = ("redis", "worker")  # run by test_compose_workers.py
PATIENCE_S = 150.0


class Stack:
    """The services that run, and what Dagster says."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.said: dict[str, str] = {}
        self.running: dict[str, psutil.Popen] = {}

    def graphql(self, query: str, *, service: str = "3000", **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.place.ports[service]}/graphql"
        request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # 127.0.0.1
            found: dict[str, Any] = json.load(answer)["data"]
        return found

    def wait(self, what: str, question: Any) -> Any:
        """Ask until the answer is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := question()):
            ended = {name: process.returncode for name, process in self.running.items() if process.poll() is not None}
            assert not ended, (ended, self.logs())
            assert time.monotonic() < deadline, (what, self.logs())
            time.sleep(0.5)
        return answer

    def logs(self) -> dict[str, str]:
        return {path.stem: path.read_text(errors="replace")[-1_500:] for path in self.place.folder.glob("*.log")}


@pytest.fixture(scope="module")
def stack(live_postgres: Production, influx: InfluxProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack as `docker compose up` leaves it."""
    folder = tmp_path_factory.mktemp("compose")
    for name in ("backups", "data", "tmp"):
        (folder / name).mkdir()
    address = influx.address()
    (live_postgres.secrets / "influx_token").chmod(0o600)
    (live_postgres.secrets / "influx_token").write_text(address.token)
    ports = {"postgres:5432": live_postgres.port, "influxdb:8086": int(address.url.rpartition(":")[2])}
    ports |= {port: free_port() for port in ("3000", "4000", "8501")}
    databases = {f"BOT3_{name}_DB_PORT": str(live_postgres.port) for name in ("BOT1", "BOT2", "BOT3", "PLATFORM")}
    tiny = {f"BOT3_{name.upper()}": str(value) for name, value in TINY.items()}
    extra = {**databases, **tiny, "BOT3_DAGSTER_PORT": str(ports["3000"]), "BOT3_DASHBOARD_PORT": str(ports["8501"])}
    made = Stack(Place(folder=folder, secrets=live_postgres.secrets, ports=ports, extra=extra))
    with ExitStack() as stopping:
        for name in ONCE:
            ended = made.place.run(name)
            assert ended.returncode == 0, (name, ended.stdout[-2_000:], ended.stderr[-2_000:])
        for name in SERVED:
            if name == "viewer":
                continue  # the web server's twin on its port: test_viewer starts it
            made.running[name] = made.place.start(name)
            stopping.callback(_stop, made.running[name])
            if name in {"code", "webserver"}:
                made.wait(f"{name} is healthy", lambda name=name: made.place.is_healthy(name))
        yield made


def _stop(process: Any) -> None:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(30)
    finally:
        for member in family:
            if member.is_running():
                member.kill()


@pytest.mark.parametrize("name", [name for name in SERVED if name != "viewer"])
def test_service_given_compose_started_it_then_its_health_check_says_so(stack: Stack, name: str) -> None:
    assert stack.wait(f"{name} is healthy", lambda: stack.place.is_healthy(name))


_LAUNCH = """
mutation Launch($selector: AssetGroupSelector!, $key: [String!]!, $bot: String!) {
  launchPipelineExecution(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "bot3", pipelineName: "__ASSET_JOB",
               assetSelection: [{path: $key}]}
    mode: "default", runConfigData: {}, executionMetadata: {tags: [{key: "dagster/partition", value: $bot}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
""".replace("$selector: AssetGroupSelector!, ", "")


def run_status(stack: Stack, run_id: str) -> str:
    found = stack.graphql("query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)
    return str(found["runOrError"]["status"])


def test_stack_given_a_run_from_the_web_then_the_daemon_starts_it_and_it_materialises(stack: Stack) -> None:
    launched = stack.graphql(_LAUNCH, key=["synced_trades"], bot="BOT3")["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    status = stack.wait("the run has ended", lambda: (s := run_status(stack, run_id)) in {"SUCCESS", "FAILURE", "CANCELED"} and s)

    found = stack.graphql(
        '{ assetOrError(assetKey: {path: ["synced_trades"]}) { ... on Asset { assetMaterializations(limit: 100) { runId } } } }'
    )
    # The sensor reports the same asset, without a run.
    assert (status, {"runId": run_id} in found["assetOrError"]["assetMaterializations"]) == ("SUCCESS", True)


def test_stack_given_the_waiting_sensor_then_its_ticks_are_kept_on_the_server(stack: Stack, live_postgres: Production) -> None:
    query = "SELECT count(*) FROM job_ticks WHERE status <> 'FAILURE'"

    assert stack.wait("the sensor ticked", lambda: live_postgres.execute("dagster", "dagster", query)[0][0])
    assert live_postgres.execute("dagster", "dagster", "SELECT count(*) FROM job_ticks WHERE status = 'FAILURE'") == [(0,)]


def test_stack_given_the_daemon_reads_influx_then_the_parameters_of_the_record_are_in_force(
    stack: Stack, live_postgres: Production
) -> None:
    def in_force() -> Any:
        (row,) = live_postgres.execute("bot3_reader", "bot3", "SELECT detail FROM heartbeats WHERE process = 'execution'")
        return json.loads(str(row[0]))["parameters_version"]

    assert stack.place.environment("execution")["BOT3_PARAMETERS_FROM"] == "influx"
    assert stack.wait("the daemon has parameters", in_force)


def test_stack_given_a_doctor_then_all_is_well(stack: Stack) -> None:
    command = [*stack.place.command("webserver")[:2], "bot3.cli.main", "doctor", "--served", "--json"]

    def bad() -> Any:
        ended = stack.place.execute("webserver", command)
        return [finding for finding in json.loads(ended.stdout)["findings"] if not finding["is_good"]]

    assert stack.wait("the doctor finds nothing", lambda: bad() == [])


def test_stack_given_a_backup_while_it_runs_then_every_database_is_in_it(stack: Stack) -> None:
    ended = stack.place.run("backup")

    folder = stack.place.folder / "backups" / "first"
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert set(read_manifest(folder).stores) >= {"platform", "BOT1", "BOT2", "BOT3", "dagster"}
    assert {path.parent.name for path in folder.glob("*/database.dump")} == {"platform", "BOT1", "BOT2", "BOT3", "dagster"}


def test_stack_given_it_runs_then_nothing_is_written_beside_its_volumes(stack: Stack) -> None:
    made = {path.name for path in stack.place.folder.iterdir()}

    assert {name for name in made if not name.endswith(".log")} == {"backups", "data", "tmp", "workspace-compose.yaml"}
    assert list((stack.place.folder / "data" / "home" / "bots").glob("*.sqlite")) == []
    assert not (stack.place.folder / "data" / "home" / "platform.sqlite").exists()


def test_viewer_given_a_mutation_then_refuses_it(stack: Stack) -> None:
    port = free_port()
    command = [str(port) if word == str(stack.place.ports["3000"]) else word for word in stack.place.command("viewer")]
    place = Place(
        folder=stack.place.folder, secrets=stack.place.secrets, ports={**stack.place.ports, "3001": port}, extra=stack.place.extra
    )
    with (place.folder / "viewer.log").open("ab") as log:
        process = psutil.Popen(command, env=place.environment("viewer"), cwd=place.folder, stdout=log, stderr=log)
    viewer = Stack(place)
    try:
        stack.wait("the viewer answers", lambda: _answers(port))
        answer = viewer.graphql(_LAUNCH, service="3001", key=["synced_trades"], bot="BOT3")
    finally:
        _stop(process)

    assert answer["launchPipelineExecution"]["__typename"] == "UnauthorizedError"


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5):
            return True
    except OSError:
        return False


def test_served_given_the_file_then_no_service_is_left_out() -> None:
    assert {*ONCE, *SERVED, *WORKERS, "backup", "postgres", "influxdb"} == set(SERVICES)
