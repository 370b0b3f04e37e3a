"""Measure the time from the commit of a closed trade to new parameters in the execution daemon, and to their event in Dagster.

    python -m benchmarks.adaptation [--stores embedded|postgres] [--home DIR] [--sparse 50] [--burst 50]

The benchmark runs the execution daemon and Dagster's own daemon with its code server, and commits closed trades to BOT1's store. For each
it measures when the daemon's heartbeat first reports parameters of a revision that contains the trade, and when Dagster's event log first
contains a materialization of `adaptive_params` of such a revision. Sparse closes are 5.5 to 10.5 s apart; a burst has a mean gap of 2 s.
Latencies include everything: sync, replay, learning, publishing, reading, and up to 20 ms of this benchmark's polling (60 ms for events).

`embedded` is a home as `bot3 up` runs it: SQLite files, also for Dagster's storage; the daemon reads the record. `postgres` is the compose
file: the databases bot1, bot2, bot33, bot3 and dagster on a PostgreSQL (fsync on) that the benchmark starts, each service in its own role,
and a daemon that reads an InfluxDB, which is started too (TEST_INFLUXD names its program). Settings in the environment apply to both.

The first close, which comes right after the start of the code server, is printed but not counted. `closes_without_event` counts closes
without an event in Dagster 30 s after the evaluation of the close began, which is after the last close of its series.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.adaptation_watches import EventWatch, HeartbeatWatch, parameters_revision
from benchmarks.closed_trades import closed_trade
from benchmarks.output import print_result, quantiles, tell
from benchmarks.running_stores import Stores, embedded, served, since
from bot3.cli.supervisor import Supervisor
from bot3.trading.trades import RunMode
from bot3.wiring import Platform, open_platform

_BOT = "BOT1"
_GIVE_UP_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Wall seconds from a close's commit until the daemon uses its parameters, and until Dagster has their event (None: no event seen)."""

    in_force_s: float
    event_s: float | None


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", choices=("embedded", "postgres"), default="embedded")
    parser.add_argument("--home", type=Path, default=None, help="a seeded home; default: seed one in a temporary directory")
    parser.add_argument("--sparse", type=int, default=50)
    parser.add_argument("--burst", type=int, default=50)
    given = parser.parse_args()
    if given.home is not None and given.stores != "embedded":
        parser.error("--home is an embedded home: leave out --stores")
    with tempfile.TemporaryDirectory() as temporary, _stores(given, Path(temporary)) as stores, open_platform(stores.settings) as platform:
        measure(stores, platform, sparse=given.sparse, burst=given.burst, name=given.stores)


def _stores(given: argparse.Namespace, temporary: Path) -> AbstractContextManager[Stores]:
    return served(temporary) if given.stores == "postgres" else embedded(given.home or temporary / "home")


def measure(stores: Stores, platform: Platform, *, sparse: int, burst: int, name: str) -> None:
    """Start the services, measure the latencies, stop the services, and print the JSON; stops the services after an error too."""
    home = stores.settings.home
    supervisor = Supervisor(stores.services(since(platform)), run_directory=home / "run", log_directory=home / "logs")
    platform.start_clock()
    load = os.getloadavg()[0]
    try:
        supervisor.start()
        supervisor.wait_healthy(timeout_s=120.0, tell=lambda service, seconds: tell(f"{service} healthy after {seconds:.1f} s"))
        _wait_for_parameters(platform)
        random = np.random.default_rng(11)
        with HeartbeatWatch(platform.control) as in_force, EventWatch(stores.dagster) as events:
            series = _Series(platform, in_force, events)
            # The code server has just started: the first close is not measured.
            series.run(gaps_s=np.zeros(1), name="first")
            calm = series.run(gaps_s=random.uniform(5.5, 10.5, sparse), name="sparse")
            busy = series.run(gaps_s=random.exponential(2.0, burst), name="burst")
    finally:
        supervisor.stop()
        platform.pause_clock()
    print_result(
        {
            "benchmark": "adaptation",
            "stores": name,
            **_figures(calm, prefix=""),
            **_figures(busy, prefix="burst_"),
            "closes": sparse + burst,
            "closes_without_event": sum(one.event_s is None for one in [*calm, *busy]),
            "trades_in_record": int(platform.record.trades.counts()["trades"].sum()),
            "load_before": round(load, 2),
            "load_after": round(os.getloadavg()[0], 2),
        }
    )


def _figures(latencies: list[Latency], *, prefix: str) -> dict[str, float]:
    in_force = quantiles([one.in_force_s for one in latencies])
    told = [one.event_s for one in latencies if one.event_s is not None]
    return {f"{prefix}{key}": value for key, value in in_force.items()} | (
        {f"{prefix}event_{key}": value for key, value in quantiles(told).items()} if told else {}
    )


def _wait_for_parameters(platform: Platform) -> None:
    deadline = time.monotonic() + 60.0
    while parameters_revision(platform.control.heartbeats()) is None:
        if time.monotonic() > deadline:
            raise SystemExit("the daemon reported no parameters within 60 s; see logs/execution.log")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class _Series:
    """A series of closes: commits all of them, then evaluates the latency of each."""

    platform: Platform
    in_force: HeartbeatWatch
    events: EventWatch

    def run(self, *, gaps_s: np.ndarray, name: str) -> list[Latency]:
        committed: list[tuple[int, float]] = []
        for number, gap in enumerate(gaps_s):
            trade = closed_trade(self.platform, number, bot=_BOT)
            self.platform.bot_store(_BOT).import_trades([trade])
            committed.append((trade.trade_id, time.monotonic()))
            time.sleep(float(gap))
        time.sleep(3.0)
        return [self._latency(trade_id=trade_id, at=at, name=name) for trade_id, at in committed]

    def _latency(self, *, trade_id: int, at: float, name: str) -> Latency:
        deadline = time.monotonic() + _GIVE_UP_S
        while True:
            revision = self._revision(trade_id)
            first = None if revision is None else self.in_force.first_at(revision)
            told = None if revision is None else self.events.first_at(revision)
            has_passed = time.monotonic() > deadline
            if first is not None and (told is not None or has_passed):
                event_s = None if told is None else told - at
                tell(f"{name} {trade_id}: {first - at:.3f} s, in Dagster " + ("never" if event_s is None else f"after {event_s:.3f} s"))
                return Latency(in_force_s=first - at, event_s=event_s)
            if has_passed:
                raise SystemExit(f"the daemon reported no parameters that contain trade {trade_id} within {_GIVE_UP_S:.0f} s")
            time.sleep(0.05)

    def _revision(self, trade_id: int) -> int | None:
        frame = self.platform.record.trades.frame(as_of=None, run_modes=[RunMode.PAPER], bots=[_BOT])
        revisions = frame.loc[frame["trade_id"] == trade_id, "revision"]
        return int(revisions.iloc[0]) if len(revisions) else None


if __name__ == "__main__":
    main()
