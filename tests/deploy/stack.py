"""The whole stack on this machine, in the state after `docker compose up`, every service in its own role, with queries to Dagster."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from bot3.cli.services import free_port
from tests.deploy.composed import Place
from tests.deploy.production import Production, production
from tests.seeded import TINY
from tests.servers.bot_api import TOKEN, BotApi
from tests.servers.influx import InfluxProgram

ONCE = ("seed", "lineage", "clock")
LISTENING = {"code": "4000", "webserver": "3000"}
"""Services that others wait for, and the ports that they listen on."""
SERVED = ("code", "webserver", "viewer", "dagster-daemon", "execution", "dashboard", "telegram", "metrics")
PATIENCE_S = 300.0
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
DONE = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}

_LAUNCH = """
mutation Launch($key: [String!]!, $bot: String!) {
  launchPipelineExecution(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "bot3", pipelineName: "__ASSET_JOB",
               assetSelection: [{path: $key}]}
    mode: "default", runConfigData: {}, executionMetadata: {tags: [{key: "dagster/partition", value: $bot}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
# The request of Dagster's pages: "Materialize", partitions selected, "Launch backfill".
_BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_ADD_WEEK = """
mutation Add($week: String!) {
  addDynamicPartition(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "bot3"}
    partitionsDefName: "market_weeks", partitionKey: $week
  ) { __typename ... on PythonError { message } ... on UnauthorizedError { message } }
}
"""
_BACKFILL_STATUS = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } runs(limit: 10) { status } } }
}
"""
_PARTITIONS_OF_RUNS = """
query Made($key: [String!]!) {
  assetOrError(assetKey: {path: $key}) {
    ... on Asset { assetMaterializations(limit: 1000) { partition runOrError { ... on Run { tags { key value } } } } }
  }
}
"""


class Stack:
    """The running services, with queries to Dagster's web server."""

    def __init__(self, place: Place, server: Production) -> None:
        self.place, self.server = place, server
        self.running: dict[str, psutil.Popen] = {}

    def graphql(self, query: str, *, service: str = "3000", **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.place.ports[service]}/graphql"
        request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # 127.0.0.1
            found: dict[str, Any] = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def launch(self, asset: str, bot: str, *, service: str = "3000") -> dict[str, Any]:
        """Launch a run of one partition through the web server; return its response."""
        answer: dict[str, Any] = self.graphql(_LAUNCH, service=service, key=[asset], bot=bot)["launchPipelineExecution"]
        return answer

    def run_status(self, run_id: str) -> str:
        found = self.graphql("query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)
        return str(found["runOrError"]["status"])

    def add_week(self, week: str) -> None:
        """Add a week of the market to Dagster's partitions, if it is missing."""
        answer = self.graphql(_ADD_WEEK, week=week)["addDynamicPartition"]
        assert answer["__typename"] in {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"}, answer

    def launch_backfill(self, *assets: str, partitions: list[str]) -> str:
        """Launch a backfill from the web server; return its id."""
        params = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": partitions}
        launched = self.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def ended_backfill(self, backfill_id: str) -> dict[str, Any]:
        """Wait until a backfill has ended; return its status and runs."""

        def ended() -> Any:
            found = self.graphql(_BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"]
            return found if found["status"] in DONE else None

        found: dict[str, Any] = self.wait("the backfill has ended", ended)
        return found

    def made_by(self, asset: str, backfill_id: str) -> set[str]:
        """Return the partitions of an asset that a backfill's runs materialized."""
        events = self.graphql(_PARTITIONS_OF_RUNS, key=[asset])["assetOrError"]["assetMaterializations"]
        wanted = {"key": "dagster/backfill", "value": backfill_id}
        return {event["partition"] for event in events if wanted in event["runOrError"].get("tags", [])}

    def wait(self, what: str, question: Callable[[], Any]) -> Any:
        """Call a function until its result is true; return the result."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := question()):
            ended = {name: process.returncode for name, process in self.running.items() if process.poll() is not None}
            assert not ended, (ended, self.logs())
            assert time.monotonic() < deadline, (what, self.logs())
            time.sleep(0.5)
        return answer

    def logs(self) -> dict[str, str]:
        return {path.stem: path.read_text(errors="replace")[-1_500:] for path in self.place.folder.glob("*.log")}


def a_place(folder: Path, server: Production, influx: InfluxProgram, *, ports: Mapping[str, int], **settings: str) -> Place:
    """Return a place with new volumes, the server's databases and InfluxDB for the services."""
    for name in ("backups", "data", "tmp"):
        (folder / name).mkdir()
    address = influx.address()
    (server.secrets / "influx_token").chmod(0o600)
    (server.secrets / "influx_token").write_text(address.token)
    found = {"postgres:5432": server.port, "influxdb:8086": int(address.url.rpartition(":")[2]), **ports}
    databases = {f"BOT3_{name}_DB_PORT": str(server.port) for name in ("BOT1", "BOT2", "BOT3", "PLATFORM")}
    tiny = {f"BOT3_{name.upper()}": str(value) for name, value in TINY.items()}
    pages = {"BOT3_DAGSTER_PORT": str(ports["3000"]), "BOT3_DASHBOARD_PORT": str(ports["8501"])}
    # Candles close once a minute instead of every 5 s, and only tests start runs.
    slow = {"BOT3_CLOCK_SPEED": "5", "BOT3_META_LEARNER_INTERVAL_S": "1200"}
    return Place(folder=folder, secrets=server.secrets, ports=found, extra={**databases, **tiny, **pages, **slow, **settings})


@contextmanager
def composed(folder: Path, influx: InfluxProgram, api: BotApi) -> Iterator[Stack]:
    """Yield the stack on its own server, with every service started in compose's order."""
    with ExitStack() as stopping:
        server = stopping.enter_context(production(folder / "server"))
        (folder / "place").mkdir()
        (server.secrets / "telegram_token").write_text(TOKEN)
        people = {"BOT3_TELEGRAM_CHAT_ID": "77", "BOT3_TELEGRAM_USERS": "7", "BOT3_TELEGRAM_API_URL": api.url}
        ports = {port: free_port() for port in ("3000", "4000", "8501", "9310")}
        made = Stack(a_place(folder / "place", server, influx, ports=ports, **people), server)
        for name in ONCE:
            ended = made.place.run(name)
            assert ended.returncode == 0, (name, ended.stdout[-2_000:], ended.stderr[-2_000:])
        for name in SERVED:
            if name == "viewer":
                continue  # a second web server on the same port: a separate test starts it
            made.running[name] = made.place.start(name)
            stopping.callback(stop, made.running[name])
            if name in LISTENING:
                made.wait(f"{name} listens", lambda name=name: made.place.is_open(LISTENING[name]))
                made.wait(f"{name} is healthy", lambda name=name: made.place.is_healthy(name))
        yield made


def stop(process: Any) -> None:
    """Stop a service and its child processes."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(30)
    finally:
        for member in family:
            if member.is_running():
                member.kill()
