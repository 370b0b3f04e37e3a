"""Kill Dagster's daemon and its code server while trades close, and search for missing lineage (the events in Dagster about the data).

    python -m benchmarks.kill_lineage [--stores embedded|postgres] [--kills 40] [--seed 1]

The benchmark runs real services: Dagster's daemon and the code server, on a home as `bot3 up` runs it, or as the compose file does on
PostgreSQL and InfluxDB. One to three trades close; at most 0.6 s after the last close, SIGKILL is sent to the code server, the daemon or
both, so that it interrupts the sync, the replay, the publication or the events; in half of the cases a trade closes while they are down.
They are restarted, and the next kill waits until nothing is missing. What is still missing after 120 s counts, though a later close may
repair it.
`untold_at_kill` counts the kills of the code server at which the newest parameters in the record had no event in Dagster yet.

At the end every closed trade of the bots' stores must be in the record, every publication of parameters must have a materialization, the
newest materialization of each asset of a bot must have the stores' number of rows, and the learning sensor's cursor must be the record's
revision; on InfluxDB the copy must be equal to the record, and its newest materialization and sensor's cursor must have that revision. The
exit code is 1 if anything is missing.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np

from benchmarks.closed_trades import closed_trade
from benchmarks.lineage_audit import LineageAudit
from benchmarks.output import print_result, quantiles, tell
from benchmarks.running_stores import Stores, embedded, served
from bot3.cli.services import Service
from bot3.wiring import Platform, open_platform

_NAMES = ("code", "dagster-daemon")
_TARGETS = (("code",), ("dagster-daemon",), _NAMES)
_WITHIN_S = 0.6
_SETTLED_S = 120.0
# The longest interval: a run of the meta-learner, which still starts at each full hour, reports the lineage that is tested here.
_SETTINGS = {"BOT3_META_LEARNER_INTERVAL_S": "3600", "BOT3_RECOMMENDATIONS_LIFE_S": "7200"}


@dataclass(slots=True)
class Victims:
    """The services to kill, each in its own process group."""

    services: Mapping[str, Service]
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, names: Sequence[str]) -> None:
        """Start services by name."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in names:
            service = self.services[name]
            with (self.logs / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    service.command,
                    env=dict(service.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, names: Sequence[str]) -> None:
        """Kill services by name, with all their children."""
        for name in names:
            with suppress(ProcessLookupError):
                os.killpg(self.running[name].pid, signal.SIGKILL)
        for name in names:
            self.running.pop(name).wait()

    def require_alive(self) -> None:
        """Raise SystemExit if a service ended without being killed."""
        if ended := {name: code for name, process in self.running.items() if (code := process.poll()) is not None}:
            raise SystemExit(f"services ended without being killed: {ended}; see {self.logs}")


@dataclass(slots=True, kw_only=True)
class Settling:
    """Wait until nothing is missing; keep what is still missing at the time limit, which counts even if it is repaired later.

    Parameters
    ----------
    findings : callable
        Returns descriptions of what is missing now.
    require_alive : callable
        Raises if a service ended, so that waiting is pointless.
    """

    findings: Callable[[], list[str]]
    require_alive: Callable[[], None]
    patience_s: float = _SETTLED_S
    missed: list[str] = field(default_factory=list)

    def wait(self, what: str) -> float | None:
        """Wait after an event, named for the output; return the seconds until nothing was missing, or None after `patience_s`."""
        began = time.monotonic()
        while findings := self.findings():
            if time.monotonic() - began >= self.patience_s:
                self._miss([f"after {what}: {finding}" for finding in findings])
                return None
            self.require_alive()
            time.sleep(0.3)
        waited_s = time.monotonic() - began
        tell(f"{what}: nothing missing after {waited_s:.1f} s")
        return waited_s

    def verdict(self) -> dict[str, object]:
        """Return as JSON fields what was missing at earlier time limits and what is missing now."""
        findings = [*self.missed, *self.findings()]
        return {"missing": len(findings), "findings": findings}

    def _miss(self, findings: Sequence[str]) -> None:
        self.missed += findings
        for finding in findings:
            tell(f"missing {finding}")


@dataclass(slots=True)
class Killer:
    """Close trades and kill services at random, which a seed determines."""

    platform: Platform
    victims: Victims
    audit: LineageAudit
    random: np.random.Generator
    closes: int = 0
    untold: int = 0

    def kill_once(self) -> None:
        """Close one to three trades, kill one service or both, perhaps close another trade, and restart them; does not wait for them."""
        self._close(int(self.random.integers(1, 4)))
        time.sleep(float(self.random.uniform(0.0, _WITHIN_S)))
        target = _TARGETS[self.random.choice(len(_TARGETS), p=(0.5, 0.2, 0.3))]
        self.victims.kill(target)
        self.untold += "code" in target and not self.audit.is_reported
        if self.random.random() < 0.5:
            self._close(1)
        self.victims.start(target)

    def _close(self, count: int) -> None:
        for _ in range(count):
            bot = self.platform.bot_names[self.closes % len(self.platform.bot_names)]
            self.platform.bot_store(bot).import_trades([closed_trade(self.platform, self.closes, bot=bot)])
            self.closes += 1
            time.sleep(float(self.random.exponential(0.15)))


def kill_services(stores: Stores, *, kills: int, seed: int, name: str) -> Mapping[str, object]:
    """Start the services, kill some of them a number of times, and stop them; return the JSON fields."""
    os.environ.update(stores.dagster)
    todo = {service.name: service for service in stores.services(lambda: True)}
    victims = Victims(todo, stores.settings.home / "logs")
    with open_platform(stores.settings) as platform, dg.DagsterInstance.get() as instance:
        # Pooled connections as in the web server, because this instance queries often.
        instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=5)
        killer = Killer(platform, victims, LineageAudit(platform=platform, instance=instance), np.random.default_rng(seed))
        settling = Settling(findings=killer.audit.findings, require_alive=victims.require_alive)
        victims.start(_NAMES)
        try:
            settling.wait("the start")
            recovered = []
            for number in range(1, kills + 1):
                killer.kill_once()
                recovered.append(settling.wait(f"kill {number}"))
            verdict = settling.verdict()
        finally:
            victims.kill(list(victims.running))
        return {
            "benchmark": "kill_lineage",
            "stores": name,
            "kills": kills,
            "untold_at_kill": killer.untold,
            "closes": killer.closes,
            "events": killer.audit.events(),
            **verdict,
            "recovered": _quantiles([seconds for seconds in recovered if seconds is not None]),
            "load": round(os.getloadavg()[0], 2),
        }


def _quantiles(recovered: Sequence[float]) -> dict[str, float]:
    return {"kills": len(recovered), **(quantiles(recovered) if recovered else {})}


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", choices=("embedded", "postgres"), default="embedded")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.update(_SETTINGS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with served(folder) if given.stores == "postgres" else embedded(folder / "home") as stores:
            result = kill_services(stores, kills=given.kills, seed=given.seed, name=given.stores)
    print_result(result)
    sys.exit(1 if result["missing"] else 0)


if __name__ == "__main__":
    main()
