"""Services of docker-compose.yml with profile `workers`, run without Docker, for benchmarks/scale.py."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

from tests.deploy.composed import Place

_T = TypeVar("_T")
_SELECTOR = 'repositoryName: "__repository__", repositoryLocationName: "bot3"'
_BACKFILL = """
mutation Backfill($assets: [AssetKeyInput!]!, $keys: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $keys}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_LAUNCH = """
mutation Launch($key: [String!]!, $tags: [ExecutionTag!]!) {
  launchPipelineExecution(executionParams: {
    selector: {SELECTOR, pipelineName: "__ASSET_JOB", assetSelection: [{path: $key}]}
    mode: "default", runConfigData: {}, executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
""".replace("SELECTOR", _SELECTOR)
_RUNS = "{ runsOrError { ... on Runs { results { runId status startTime endTime tags { key value } } } } }"
_OVER = {"SUCCESS", "FAILURE", "CANCELED"}


class Stack:
    """Code server, web server, Dagster's daemon and some workers on one place.

    Sensors and schedules are stopped, so that only requested runs execute. Leaving the context stops all services.
    """

    def __init__(self, place: Place, *, workers: int, patience_s: float) -> None:
        self.place, self._patience_s = place, patience_s
        self._names = [f"worker{number + 1}" for number in range(workers)]
        self.workers: dict[str, psutil.Process] = {}
        self._stopping = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stopping.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.close()

    def start_worker(self, name: str) -> None:
        """Start a worker under a name, and wait until it is healthy."""
        log = self.place.folder / f"{name}.log"
        before = log.stat().st_size if log.exists() else 0
        process = self.place.start("worker", log=name, WORKER_NAME=name)
        self.workers[name] = psutil.Process(process.pid)
        self._stopping.callback(_stop, process)
        # A health check is a process of several seconds: the first follows once the worker has reported that it is ready.
        self.wait(f"{name} is ready", lambda: b" ready." in log.read_bytes()[before:])
        self.wait(f"{name} answers", lambda: self.place.is_healthy("worker", WORKER_NAME=name))

    def kill_worker(self, name: str) -> None:
        """Kill a worker and all its child processes, as a power failure of its machine would."""
        for member in _family(self.workers.pop(name)):
            member.kill()

    def worker_of(self, run: Mapping[str, Any]) -> str | None:
        """Return the name of the worker that received a run; None before one has."""
        task = run["tags"].get("dagster-celery/task_id")
        for name in self._names:
            log = self.place.folder / f"{name}.log"
            if task and log.exists() and re.search(rf"{task}\] received", log.read_text(errors="replace")):
                return name
        return None

    def cpu_s(self) -> float:
        """Return the CPU seconds that the workers that run now, and their running child processes, have used."""
        times = [member.cpu_times() for worker in self.workers.values() for member in _family(worker)]
        return sum(float(own.user + own.system) for own in times)

    def backfill(self, assets: Sequence[str], keys: Sequence[str]) -> str:
        """Register the weeks of the partition keys with Dagster, and launch a backfill of these partitions of some assets; return its id.

        Does not wait for the backfill. Raises SystemExit if Dagster refuses it.
        """
        for week in sorted({key.split("|")[1] for key in keys}):
            self.graphql(
                "mutation Add($week: String!) { addDynamicPartition(repositorySelector: {SELECTOR}, partitionsDefName: "
                '"market_weeks", partitionKey: $week) { __typename } }'.replace("SELECTOR", _SELECTOR),
                week=week,
            )
        told = self.graphql(_BACKFILL, assets=[{"path": [name]} for name in assets], keys=list(keys))["launchPartitionBackfill"]
        if told["__typename"] != "LaunchBackfillSuccess":
            raise SystemExit(f"the backfill was refused: {told}")
        return str(told["backfillId"])

    def backfill_status(self, backfill: str) -> str:
        """Return the status of a backfill."""
        query = "query B($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
        return str(self.graphql(query, id=backfill)["partitionBackfillOrError"]["status"])

    def launch(self, asset: str, *, partition: str | None = None) -> str:
        """Launch a run of one asset, of one partition or without partitions (None); return its id without waiting for it.

        Raises SystemExit if Dagster refuses it.
        """
        tags = [] if partition is None else [{"key": "dagster/partition", "value": partition}]
        told = self.graphql(_LAUNCH, key=[asset], tags=tags)["launchPipelineExecution"]
        if told["__typename"] != "LaunchRunSuccess":
            raise SystemExit(f"the run was refused: {told}")
        return str(told["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, each with its tags as a mapping."""
        found = self.graphql(_RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def finished(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Wait until runs have ended in any way; return them. Raises SystemExit after the time limit."""

        def over() -> list[dict[str, Any]]:
            own = [run for run in self.runs() if run["runId"] in ids]
            return own if {run["status"] for run in own} <= _OVER else []

        return self.wait("the runs have ended", over)

    def wait(self, what: str, question: Callable[[], _T]) -> _T:
        """Call a function until its result is truthy; return the result. Raises SystemExit with the logs after the time limit."""
        deadline = time.monotonic() + self._patience_s
        while not (answer := question()):
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {self._patience_s:.0f} s without success until {what}: {self._logs()}")
            time.sleep(0.2)
        return answer

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a query to the web server; return its data. Raises SystemExit if the server refuses it."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.place.ports['3000']}/graphql"
        request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # 127.0.0.1
                found: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"the web server refused the query: {error.read().decode(errors='replace')[:2_000]}") from error
        return found

    def _start(self) -> None:
        for name, port in (("code", "4000"), ("webserver", "3000")):
            self._stopping.callback(_stop, self.place.start(name))
            self.wait(f"{name} listens", partial(self.place.is_open, port))
            self.wait(f"{name} is healthy", partial(self.place.is_healthy, name))
        self._stand_still()
        self._stopping.callback(_stop, self.place.start("dagster-daemon"))
        for name in self._names:
            self.start_worker(name)

    def _stand_still(self) -> None:
        """Stop all sensors and schedules, before the daemon starts, which would run them."""
        names = self.graphql(
            "{ repositoryOrError(repositorySelector: {SELECTOR}) { ... on Repository { sensors { name sensorState { id selectorId } } "
            "schedules { name scheduleState { id } } } } }".replace("SELECTOR", _SELECTOR)
        )["repositoryOrError"]
        for sensor in names["sensors"]:
            self.graphql("mutation S($id: String!) { stopSensor(id: $id) { __typename } }", id=sensor["sensorState"]["id"])
        for schedule in names["schedules"]:
            self.graphql("mutation S($id: String!) { stopRunningSchedule(id: $id) { __typename } }", id=schedule["scheduleState"]["id"])

    def _logs(self) -> dict[str, str]:
        return {path.stem: path.read_text(errors="replace")[-3_000:] for path in self.place.folder.glob("*.log")}


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)] if process.is_running() else []


def _stop(process: Any) -> None:
    family = _family(psutil.Process(process.pid)) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(30)
    finally:
        for member in family:
            if member.is_running():
                member.kill()
