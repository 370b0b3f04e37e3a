"""Kill the execution daemon at random moments, and check the invariants after the next one has recovered the state.

    python -m benchmarks.kill_execution [--kills 100] [--seed 1] [--home DIR]

The benchmark runs real processes on its own home: the simulated market at 1,500 times real speed, three bots, the real stores and paper
accounts. Signals are random at every close (no models), and trades last half an hour of market time, so that orders are nearly always
pending. SIGKILL is sent at a random moment; in half of the cases the market continues for a moment without a daemon. Then the market clock
is paused, a daemon ticks once, and the stored orders and trades are compared with the accounts; both are repeated for up to 10 s while
another tick may correct what was found.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.kill_daemons import Nursery, make_home
from benchmarks.kill_verdicts import AccountAudit, Finding
from benchmarks.output import print_result, quantiles, tell
from bot3.settings import Settings
from bot3.wiring import Platform, open_platform

_DEADLINE_S = 10.0
_ANCHOR_S = 0.25  # longer than a process may use an older anchor of the market clock
_LONGEST_LIFE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill, and the invariants that were still violated after the recovery.

    Parameters
    ----------
    lived_s : float
        Wall time from the start of the daemon to the kill.
    recovered_s : float
        Wall time from the start of the next daemon until the last check; 0 if the first daemon ended before it was killed.
    findings : tuple of Finding
        Violations of the last check; empty if all invariants hold.
    """

    lived_s: float
    recovered_s: float
    findings: tuple[Finding, ...]


@dataclass(slots=True, kw_only=True)
class Killer:
    """Kill daemons on one home, and check the accounts of its bots."""

    platform: Platform
    nursery: Nursery
    random: np.random.Generator
    audits: dict[str, AccountAudit] = field(init=False)

    def __post_init__(self) -> None:
        names = self.platform.bot_names
        self.audits = {name: AccountAudit(self.platform.bot_store(name), self.platform.exchange(name), self.platform) for name in names}

    def kill_once(self) -> Kill:
        """Start a daemon, kill it at a random moment, let others recover the state, and check the invariants."""
        self.platform.start_clock()
        daemon = self.nursery.start("--poll", "0.02")
        lived_s = float(self.random.uniform(0.05, _LONGEST_LIFE_S))
        time.sleep(lived_s)
        daemon.kill()
        daemon.join()
        if daemon.exitcode != -signal.SIGKILL:
            ended = Finding(
                bot="all",
                promise="restart",
                text=f"a daemon ended before it was killed, with exit code {daemon.exitcode}: see {self.nursery.log}",
            )
            return Kill(lived_s=lived_s, recovered_s=0.0, findings=(ended,))
        if self.random.random() < 0.5:
            time.sleep(float(self.random.uniform(0.0, 1.0)))
        self.platform.pause_clock()
        time.sleep(_ANCHOR_S)
        return self._recover(lived_s)

    def audit(self) -> list[Finding]:
        """Return the violated invariants of all bots; the market clock must be paused."""
        return [finding for audit in self.audits.values() for finding in audit.findings()]

    def _recover(self, lived_s: float) -> Kill:
        began = time.monotonic()
        while True:
            once = self.nursery.start("--once")
            once.join()
            findings = self.audit()
            if once.exitcode != 0:
                findings.append(Finding(bot="all", promise="restart", text=f"the daemon ended with exit code {once.exitcode}"))
            passed_s = time.monotonic() - began
            # An order without a response is resolved only after the time in which it could still arrive; until then a stop may be missing.
            if not findings or not all(finding.may_pass for finding in findings) or passed_s > _DEADLINE_S:
                return Kill(lived_s=lived_s, recovered_s=passed_s, findings=tuple(findings))
            time.sleep(0.2)


def kill_daemons(settings: Settings, *, kills: int, seed: int) -> Mapping[str, object]:
    """Kill daemons on a home a number of times, at least once; return the JSON fields."""
    with open_platform(settings) as platform:
        killer = Killer(platform=platform, nursery=Nursery(settings.home), random=np.random.default_rng(seed))
        made = []
        for number in range(1, kills + 1):
            made.append(killer.kill_once())
            for finding in made[-1].findings:
                tell(f"kill {number}: {finding.bot}: {finding.promise}: {finding.text}")
        # A violation after one kill is found after every later one too: count it once.
        counts = Counter(finding.promise for finding in {finding for kill in made for finding in kill.findings})
        stores = [platform.bot_store(name) for name in platform.bot_names]
        closed = [trade for store in stores for trade in store.closed_trades(closed_since=None)]
        recovered = quantiles([kill.recovered_s for kill in made])
        return {
            "benchmark": "kill_execution",
            "kills": kills,
            "violations": sum(counts.values()),
            "violations_by_promise": dict(counts),
            "entries": sum(audit.entries for audit in killer.audits.values()),
            "trades_closed": len(closed),
            "exit_reasons": dict(Counter(str(trade.exit_reason) for trade in closed)),
            "recovered": recovered,
        }


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=None, help="an empty directory that is not deleted; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = given.home or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        result = kill_daemons(make_home(home), kills=given.kills, seed=given.seed)
    print_result(result)
    sys.exit(1 if result["violations"] else 0)


if __name__ == "__main__":
    main()
