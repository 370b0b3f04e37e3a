"""Measure Dagster runs on one and on two workers: equal results to those of one process, runs a second, no loss if a worker is killed.

    python -m benchmarks.scale [--weeks 4] [--trades 1000] [--seed-days 63] [--poll-s 30]

The benchmark starts its own PostgreSQL and Redis (Debian's postgresql and redis-server) and the services of docker-compose.yml (profile
`workers`, without Docker). The work is a backfill of feeder models and signals, ten feeders a week, then a full relearn by partition under
a changed rule (trades and replays by bot, then parameters). It runs in one process, on one worker, on two, and on two of which one is
killed in the middle of a run and restarted, as compose would. All four must produce the same results: files byte by byte, and tables except
for the columns `computed_at` and `revision`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.output import print_result, tell
from benchmarks.scale_home import Base, Work, feeder_weeks, made, make_alone, platform_of, seed_base
from benchmarks.scale_stack import Stack
from bot3.cli.services import free_port
from bot3.package_files import DAGSTER_CONFIG
from bot3.trading.signals import FEEDER_IDS
from bot3_assets.partitions import feeder_week_key
from tests.deploy.composed import Place
from tests.deploy.production import production
from tests.servers.redis import RedisServer

_BOTS = ("BOT1", "BOT2", "BOT3")
_PATIENCE_S = 900.0


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--trades", type=int, default=1_000)
    parser.add_argument("--seed-days", type=int, default=63)
    parser.add_argument("--poll-s", type=int, default=30, help="interval of Dagster's run monitoring (run_monitoring); production uses 30")
    arguments = parser.parse_args()
    _require_one_thread()
    seed = {"BOT3_SEED_DAYS": str(arguments.seed_days), "BOT3_FEEDER_FIRST_WEEKS": "5"}
    work = Work(weeks=arguments.weeks, feeders=len(FEEDER_IDS), trades=arguments.trades, seed=seed)
    with tempfile.TemporaryDirectory() as folder, production(Path(folder) / "production") as server:
        measure(seed_base(server, Path(folder) / "base", work), poll_s=arguments.poll_s)


def _require_one_thread() -> None:
    """Restart the process with one thread of linear algebra, as in compose's services: results must not depend on the machine's threads."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        command = [sys.executable, "-m", "benchmarks.scale", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, check=False).returncode)


def measure(base: Base, *, poll_s: int) -> None:
    """Do the work in four ways, compare the results, and print the JSON. Raises SystemExit if a result differs."""
    load = psutil.getloadavg()[0]
    alone, expected = work_alone(base)
    one, two = (work_with(base, workers=count, poll_s=poll_s) for count in (1, 2))
    killed = work_with(base, workers=2, poll_s=poll_s, name="killed", kill=True)
    differing = {name: differences(expected, way["made"]) for name, way in (("one", one), ("two", two), ("killed", killed))}
    for name, found in differing.items():
        tell(f"{name}: {'the same bytes as in one process' if not found else f'DIFFERS in {found}'}")
    print_result(
        {
            "benchmark": "scale",
            "same_bytes": {name: not found for name, found in differing.items()},
            "things_compared": len(expected),
            "one_process_s": alone,
            "one_worker": _told(one),
            "two_workers": _told(two),
            "speed_ratio": {kind: round(two[kind]["runs_per_s"] / one[kind]["runs_per_s"], 2) for kind in ("backfill", "relearn")},
            "killed": {"runs_failed": killed["failed"], "noticed_s": killed["noticed_s"], "nothing_lost": not differing["killed"]},
            "partitions": base.work.partitions,
            "trades_a_bot": base.work.trades,
            "poll_s": poll_s,
            "load_before": round(load, 2),
            "cores": os.cpu_count(),
        }
    )
    if any(differing.values()):
        raise SystemExit(1)


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return the sorted names of the results whose digests differ or are missing on one side."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def work_alone(base: Base) -> tuple[dict[str, float], dict[str, str]]:
    """Do all work in one process; return its duration and the digests of its results."""
    place = base.place("alone", ports={}, extra={}, variables={})
    began, cpu = time.perf_counter(), time.process_time()
    make_alone(place, base.work)
    took = {"wall_s": round(time.perf_counter() - began, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    tell(f"in one process: {took}")
    return took, made(place, base.work)


def work_with(base: Base, *, workers: int, poll_s: int, name: str = "", kill: bool = False) -> dict[str, Any]:
    """Do all work on some workers; return the figures of each part, and the digests of the results.

    `name` names the copy of the home; with `kill` a worker is killed during the backfill and restarted.
    """
    name = name or f"workers{workers}"
    with RedisServer(password=(base.production.secrets / "redis_password").read_text()) as redis:
        ports = {"redis:6379": redis.port, **{port: free_port() for port in ("3000", "4000")}}
        variables = {"DAGSTER_WORKERS": str(workers)}
        instance = base.folder.parent / f"{name}.yaml"
        instance.write_text(_instance(poll_s), encoding="utf-8")
        place = base.place(name, ports=ports, extra={"DAGSTER_INSTANCE_FILE": str(instance)}, variables=variables)
        with Stack(place, workers=workers, patience_s=_PATIENCE_S) as stack:
            way: dict[str, Any] = {"backfill": backfill(stack, place, base.work, kill=kill)}
            way["relearn"] = relearn(stack)
            runs = stack.runs()
    way["failed"] = sum(run["status"] == "FAILURE" for run in runs)
    way["noticed_s"] = way["backfill"].pop("noticed_s")
    tell(f"{name}: {_told(way)}, failed runs {way['failed']}")
    return {**way, "made": made(place, base.work)}


def backfill(stack: Stack, place: Place, work: Work, *, kill: bool) -> dict[str, Any]:
    """Backfill the feeders' weeks; with `kill`, kill a worker in the middle of a run and restart it. Returns the figures.

    Raises SystemExit if the backfill does not end successfully.
    """
    with platform_of(place) as platform:
        keys = [feeder_week_key(feeder, week) for feeder, week in feeder_weeks(platform, work)]
    cpu = stack.cpu_s()
    asked = stack.backfill(["feeder_models", "feeder_signals"], keys)
    noticed_s = _kill_in_the_middle(stack) if kill else None
    status = stack.wait("the backfill has ended", lambda: (s := stack.backfill_status(asked)) not in {"REQUESTED", "CANCELING"} and s)
    if status != "COMPLETED_SUCCESS":
        raise SystemExit(f"the backfill ended as {status}")
    runs = [run for run in stack.runs() if run["tags"].get("dagster/backfill") == asked]
    return {**_figures(stack, runs, cpu_s=stack.cpu_s() - cpu), "noticed_s": noticed_s}


def relearn(stack: Stack) -> dict[str, Any]:
    """Sync and replay each bot, then learn all parameters; return the figures. Raises SystemExit if a run fails."""
    cpu, ids = stack.cpu_s(), list[str]()
    for asset, partitions in (("synced_trades", _BOTS), ("trade_replays", _BOTS), ("adaptive_params", (None,))):
        asked = [stack.launch(asset, partition=partition) for partition in partitions]
        ended = stack.finished(asked)
        if bad := [run["runId"] for run in ended if run["status"] != "SUCCESS"]:
            raise SystemExit(f"runs of {asset} failed: {bad}")
        ids += asked
    return _figures(stack, stack.finished(ids), cpu_s=stack.cpu_s() - cpu)


def _kill_in_the_middle(stack: Stack) -> float:
    """Kill a worker in the middle of a run and restart it; return the seconds from the kill until Dagster marked the run as failed."""

    def under_way() -> list[tuple[str, str]]:
        taken = [(run["runId"], stack.worker_of(run)) for run in stack.runs() if run["status"] == "STARTED"]
        return [(run_id, worker) for run_id, worker in taken if worker]

    run_id, worker = stack.wait("a worker is in the middle of a run", under_way)[0]
    stack.kill_worker(worker)
    began = time.monotonic()
    stack.start_worker(worker)
    (run,) = stack.finished([run_id])
    if run["status"] != "FAILURE":
        raise SystemExit(f"the killed worker's run ended as {run['status']}: it was killed too late, increase --weeks")
    return round(time.monotonic() - began, 1)


def _figures(stack: Stack, runs: list[dict[str, Any]], *, cpu_s: float) -> dict[str, Any]:
    good = [run for run in runs if run["status"] == "SUCCESS"]
    took = max(run["endTime"] for run in good) - min(run["startTime"] for run in good)
    by_worker = [sum(stack.worker_of(run) == name for run in good) for name in stack.workers]
    return {
        "runs": len(good),
        "wall_s": round(took, 2),
        "runs_per_s": round(len(good) / took, 3),
        "worker_cpu_s": round(cpu_s, 2),
        "runs_by_worker": by_worker,
    }


def _told(way: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: way[kind] for kind in ("backfill", "relearn")}


def _instance(poll_s: int) -> str:
    text = (DAGSTER_CONFIG / "dagster-workers.yaml").read_text(encoding="utf-8")
    return text.replace("poll_interval_seconds: 30", f"poll_interval_seconds: {poll_s}")


if __name__ == "__main__":
    main()
