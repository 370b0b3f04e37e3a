"""Make servers fail under the services while trades close, and measure the automatic recovery.

    python -m benchmarks.outage [--faults 60] [--longest-s 15] [--seed 1]

The benchmark runs real services (code server, Dagster's daemon, execution daemon) as in the compose file, under the supervisor of `bot3
up`, on a PostgreSQL and an InfluxDB behind proxies. A fault stops, kills, stalls (SIGSTOP) or fills the disk of one server or of both, or
leaves its connections half-open while new ones work, for 1 s to `--longest-s` (up to 300), mostly short. Trades close continuously. The
recovery time after a fault lasts until all closed trades of the bots are in the record, once each, the copy in InfluxDB is equal to the
record, and the execution daemon ticks. It is counted from the fault's end, for half-open connections from its start, because the services
must recover while the old connections are still half-open. A full disk of InfluxDB ends with a restart of InfluxDB, which is required
(docs/runbook.md).

`lost` and `doubled` count closed trades that are missing or duplicated in the record or the copy at the end; `manual` counts faults without
recovery within 120 s, after which a person would have had to act. The exit code is 1 unless all three are 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import numpy as np

from benchmarks.closed_trades import closed_trade
from benchmarks.outage_servers import KINDS, Server
from benchmarks.outage_stack import Outages, outage_stack, service_processes
from benchmarks.output import print_result, quantiles, tell
from bot3.errors import Bot3Error, StoreError
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.bot_state import DAEMON, daemon_beat
from bot3.wiring import Platform, open_platform

_HALF_OPEN_CLOSES_S = 5.0
"""Longest time for which trades close over half-open connections before recovery is awaited, wall seconds."""
_PATIENCE_S = 120.0
_SETTLED_S = 300.0
_FIRST_ID = 900_000  # descending, because the daemon's own ids ascend from the highest
_PAUSE_S = 0.6
_FRESH = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its kind, its servers, and its duration."""

    kind: str
    servers: tuple[str, ...]
    lasts_s: float

    @property
    def name(self) -> str:
        """Return the name of the fault: its kind and servers."""
        return f"{self.kind} {'+'.join(self.servers)}"


def plan(count: int, *, longest_s: float, random: np.random.Generator, possible: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Draw a number of faults of 1 s to `longest_s`: every kind on each server and on both in turns, in random order.

    `possible` has the kinds that can be caused on each server; half of the faults are shorter than the square root of `longest_s`.
    """
    targets = [("postgres",), ("influx",), ("postgres", "influx")]
    mix = [(kind, names) for kind in KINDS for names in targets if all(kind in possible[name] for name in names)]
    chosen: list[tuple[str, tuple[str, ...]]] = []
    while len(chosen) < count:
        chosen += [mix[index] for index in random.permutation(len(mix))]
    # Log-uniform.
    lasts = np.exp(random.uniform(0.0, np.log(longest_s), size=count))
    return [Fault(kind=kind, servers=names, lasts_s=round(float(s), 1)) for (kind, names), s in zip(chosen, lasts, strict=False)]


@dataclass(slots=True)
class Load:
    """Close trades in the bots' databases from a thread; a trade counts when its commit was acknowledged or found by a retry."""

    outages: Outages
    committed: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    retried: int = 0
    _unconfirmed: Trade | None = None
    _stop: Event = field(default_factory=Event)
    _flows: Event = field(default_factory=Event)
    _failure: list[BaseException] = field(default_factory=list)
    _thread: Thread | None = None

    def start(self) -> None:
        """Start closing trades."""
        self._flows.set()
        self._thread = Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, or give up after 60 s. Raises the exception that ended it earlier, if any."""
        self._stop.set()
        self._flows.set()
        if self._thread is not None:
            self._thread.join(60.0)
        if self._failure:
            raise self._failure[0]

    def hold(self) -> None:
        """Pause closing trades until `go_on`; a close that has begun is finished."""
        self._flows.clear()

    def go_on(self) -> None:
        """Resume closing trades."""
        self._flows.set()

    def _run(self) -> None:
        try:
            with open_platform(self.outages.settings) as platform:
                number = 0
                while not self._stop.wait(_PAUSE_S):
                    self._flows.wait()
                    # A trade closed after the last fault might not be in the record and the copy yet when they are compared.
                    if not self._stop.is_set():
                        number += self._close(platform, number)
        except BaseException as error:
            self._failure.append(error)
            raise

    def _close(self, platform: Platform, number: int) -> bool:
        """Close one trade; return whether it is in the database. If that is unknown, the next call commits the same trade again.

        If the first commit succeeded and only its response was lost, the store skips the trade, because it is stored already.
        """
        bot = platform.bot_names[number % len(platform.bot_names)]
        try:
            trade = self._unconfirmed or replace(closed_trade(platform, number, bot=bot), trade_id=_FIRST_ID - number)
            self._unconfirmed = trade
            platform.bot_store(bot).import_trades([trade])
        except StoreError:
            self.retried += 1
            return False
        self._unconfirmed = None
        self.committed[bot].add(trade.trade_id)
        return True


@dataclass(slots=True)
class Watch:
    """Observer that finds what is not recovered yet; it bypasses the proxies."""

    platform: Platform
    outages: Outages

    def findings(self, load: Load) -> list[str]:
        """Return descriptions of what is not recovered now, an empty list if all is; an unreadable store is one of them."""
        try:
            return [*self._services(), *self._daemon(), *self._record(load), *self._copy()]
        except (Bot3Error, OSError) as error:
            return [f"state cannot be read: {error}"]

    def _services(self) -> list[str]:
        found = service_processes(self.outages.run_directory)
        return [f"{name} does not run" for name, is_running in found.items() if not is_running]

    def _daemon(self) -> list[str]:
        beat = daemon_beat(self.platform.control.heartbeats())
        if beat is None:
            return ["the daemon never sent a heartbeat"]
        age = self.platform.wall_now() - beat.wall_at
        return [] if age <= _FRESH and beat.state == "running" else [f"{DAEMON} is {beat.state}, {age.total_seconds():.0f} s ago"]

    def _record(self, load: Load) -> list[str]:
        missing = self.platform.steps.unsynced_closes()
        recorded = self.recorded()
        lost = sum(len(ids - recorded[bot].keys()) for bot, ids in load.committed.items())
        return [f"{missing} closes are not in the record, {lost} of them from the load"] if missing or lost else []

    def _copy(self) -> list[str]:
        found = self.platform.publishing.check(now=self.platform.clock.now())
        if found.waiting:
            return [f"{found.waiting} writes are pending"]
        return [] if found.is_equal else ["the copy is not equal to the record"]

    def recorded(self) -> dict[str, dict[int, int]]:
        """Count the rows of each paper trade in the record: bot to trade id to number, usually 1."""
        frame = self.platform.record.trades.frame(as_of=None, run_modes=(RunMode.PAPER,))
        found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for bot, trade_id in zip(frame["bot"], frame["trade_id"], strict=True):
            found[str(bot)][int(trade_id)] += 1
        return found

    def copied(self) -> dict[str, int]:
        """Return how many trades the copy has too many ("more") and too few ("fewer"), each summed over the bots."""
        checks = self.platform.publishing.check(now=self.platform.clock.now()).trades.values()
        return {
            "more": sum(max(0, check.published - check.record) for check in checks),
            "fewer": sum(max(0, check.record - check.published) for check in checks),
        }


def wait_well(watch: Watch, load: Load, *, since: float, patience_s: float) -> tuple[float | None, list[str]]:
    """Wait for recovery until `patience_s` after an instant; return the seconds from it to recovery, and the last findings.

    Without recovery the seconds are None.
    """
    findings: list[str] = []
    while time.monotonic() - since < patience_s:
        asked_at = time.monotonic()
        findings = watch.findings(load)
        if not findings:
            return asked_at - since, []
        time.sleep(0.2)
    return None, findings


def suffer(fault: Fault, servers: Mapping[str, Server], watch: Watch, load: Load) -> tuple[float | None, list[str]]:
    """Cause a fault, end it, and wait for recovery; return the seconds until recovery (None at the time limit) and the last findings.

    With half-open connections, recovery is awaited before the fault ends, and the seconds count from its start.
    """
    began = time.monotonic()
    for name in fault.servers:
        servers[name].begin(fault.kind)
    if fault.kind == "half_open":
        time.sleep(min(fault.lasts_s, _HALF_OPEN_CLOSES_S))  # trades close in the meantime
        load.hold()
        found = wait_well(watch, load, since=began, patience_s=_PATIENCE_S)
        # The old connections stay half-open for the rest of the fault, and trades close again over the new ones.
        load.go_on()
        time.sleep(max(0.0, began + fault.lasts_s - time.monotonic()))
        for name in fault.servers:
            servers[name].end(fault.kind)
        return found
    time.sleep(fault.lasts_s)
    for name in fault.servers:
        servers[name].end(fault.kind)
    load.hold()
    return wait_well(watch, load, since=time.monotonic(), patience_s=_PATIENCE_S)


def run(outages: Outages, *, count: int, longest_s: float, seed: int) -> dict[str, object]:
    """Cause a number of faults, one after the other; return the JSON fields.

    Raises SystemExit if the services do not become healthy, or if a fault has no recovery after twice the time limit.
    """
    random = np.random.default_rng(seed)
    faults = plan(count, longest_s=longest_s, random=random, possible={name: one.kinds for name, one in outages.servers.items()})
    took: dict[str, list[float]] = defaultdict(list)
    manual, unwell = 0, []
    with open_platform(outages.settings) as platform:
        watch, load = Watch(platform, outages), Load(outages)
        first, findings = wait_well(watch, load, since=time.monotonic(), patience_s=_SETTLED_S)
        if first is None:
            raise SystemExit(f"not recovered after the start: {'; '.join(findings)}; see {outages.log_directory}")
        tell(f"healthy {first:.0f} s after the start")
        load.start()
        for number, fault in enumerate(faults, start=1):
            load.go_on()
            time.sleep(float(random.uniform(0.5, 2.0)))
            seconds, findings = suffer(fault, outages.servers, watch, load)
            shown = f"{number}/{count} {fault.name} for {fault.lasts_s} s"
            if seconds is None:
                manual += 1
                unwell.append(f"{shown}: {'; '.join(findings)}")
                tell(f"{shown}: NOT RECOVERED after {_PATIENCE_S:.0f} s: {'; '.join(findings)}")
                _, findings = wait_well(watch, load, since=time.monotonic(), patience_s=_PATIENCE_S)
                if findings:
                    raise SystemExit(f"no recovery after {shown}: {'; '.join(findings)}; see {outages.log_directory}")
            else:
                took[fault.name].append(seconds)
                tell(f"{shown}: recovered after {seconds:.1f} s")
        load.stop()
        # A trade may have closed since the last recovery: what is missing after the time limit is lost.
        _, findings = wait_well(watch, load, since=time.monotonic(), patience_s=_PATIENCE_S)
        tell(f"at the end: {'; '.join(findings) or 'all is equal'}")
        verdict = _verdict(watch, load)
    after = [s for name, found in took.items() if not name.startswith("half_open") for s in found]
    begun = [s for name, found in took.items() if name.startswith("half_open") for s in found]
    return {
        "benchmark": "outage",
        "faults": count,
        "recover_p95_s": quantiles(after)["p95_s"] if after else None,
        "recover_max_s": quantiles(after)["max_s"] if after else None,
        "half_open_p95_s": quantiles(begun)["p95_s"] if begun else None,
        "half_open_max_s": quantiles(begun)["max_s"] if begun else None,
        **verdict,
        "manual": manual,
        "not_well": unwell,
        "kinds": {name: {"faults": len(found), **quantiles(found)} for name, found in sorted(took.items())},
        "load": round(os.getloadavg()[0], 2),
    }


def _verdict(watch: Watch, load: Load) -> dict[str, object]:
    recorded, copied = watch.recorded(), watch.copied()
    lost = sum(len(ids - recorded[bot].keys()) for bot, ids in load.committed.items())
    doubled = sum(count - 1 for found in recorded.values() for count in found.values())
    closes = sum(len(ids) for ids in load.committed.values())
    return {"closes": closes, "retried": load.retried, "lost": lost + copied["fewer"], "doubled": doubled + copied["more"]}


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--longest-s", type=float, default=15.0, help="longest fault, 1 to 300")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="directory to work in; the logs of the services stay there")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that servers and services end as well
    with tempfile.TemporaryDirectory(prefix="bot3-outage-") as temporary:
        folder = Path(temporary) if given.keep is None else given.keep
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the server's user needs access to its subdirectories
        with outage_stack(folder) as outages:
            result = run(outages, count=given.faults, longest_s=given.longest_s, seed=given.seed)
    print_result(result)
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(1 if result["lost"] or result["doubled"] or result["manual"] else 0)


if __name__ == "__main__":
    main()
