"""Measure `bot3 audit` on 50,000 trades over real candles: its duration, and its report on trades from which nothing can be learned.

    python -m benchmarks.audit [--data DIR] [--trades N]

The entries have no skill by construction: "random" draws the candle and the side; "momentum" draws the candle and takes the direction in
which the price moved in the four hours before. Stops and targets are learned from the trades of January to June 2025 and compared, net of
costs and on the trades of July to September, with a static stop and target of -3 % and +3 % of the stake.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.audit_trades import Entries, write_database
from benchmarks.output import print_result, tell
from bot3.wiring import file_candles

_START, _END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 9, 29, tzinfo=UTC)
_JUDGE_FROM = "2025-07-01"
_FUNDING = ("usdm-1h-2019-2025", "usdm-1h-2025")


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/usdm-5m-2025"), help="directory of 5m candles of 2025")
    parser.add_argument("--trades", type=int, default=50_000)
    options = parser.parse_args()
    if not options.data.is_dir():
        tell(f"{options.data} is missing: pass a directory of 5m candles of 2025 with --data")
        sys.exit(3)
    with tempfile.TemporaryDirectory(prefix="bot3-audit-") as directory:
        print_result(_measure(options.data, Path(directory), trades=options.trades))


def _measure(data: Path, directory: Path, *, trades: int) -> dict[str, Any]:
    kinds = (Entries(kind="random", n=200, seed=5), *(Entries(kind=kind, n=trades, seed=1) for kind in ("random", "momentum")))
    files = [directory / f"{number}.sqlite" for number in range(len(kinds))]
    candles = file_candles(data, timeframe="5m")
    for path, entries in zip(files, kinds, strict=True):
        write_database(path, candles, entries, start=_START, end=_END)
    first_start, _ = _audited(files[0], data)
    told, taken = {}, []
    for path, entries in list(zip(files, kinds, strict=True))[1:]:
        seconds, report = _audited(path, data)
        taken.append(seconds)
        told[entries.kind] = _figures(report)
        tell(f"{entries.kind}: {seconds.wall_s:.1f} s ({seconds.cpu_s:.1f} s of a core), {told[entries.kind]}")
    return {
        "audit_s": round(max(seconds.wall_s for seconds in taken), 2),
        "audit_cpu_s": round(max(seconds.cpu_s for seconds in taken), 2),
        "first_start_s": round(first_start.wall_s, 2),
        "trades": trades,
        "no_skill": told,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """Duration of a command. Other processes on the machine lengthen the wall time, but not the CPU time."""

    wall_s: float
    cpu_s: float


def _audited(path: Path, data: Path) -> tuple[_Taken, dict[str, Any]]:
    """Run the command as a user does; return its duration and its report."""
    funding = [word for name in _FUNDING if (data.parent / name).is_dir() for word in ("--funding", str(data.parent / name))]
    command = [sys.executable, "-m", "bot3.cli.main", "audit", "--db", str(path), "--candles", str(data), *funding]
    began, spent = time.perf_counter(), _children_cpu_s()
    ended = subprocess.run([*command, "--judge-from", _JUDGE_FROM, "--json"], check=True, stdout=subprocess.PIPE)
    taken = _Taken(wall_s=time.perf_counter() - began, cpu_s=_children_cpu_s() - spent)
    report: dict[str, Any] = json.loads(ended.stdout)
    return taken, report


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(report: dict[str, Any]) -> dict[str, Any]:
    overall, promise = report["overall"], report["promise"]
    return {
        "fitted": report["counts"]["fitted"],
        "judged": overall["n"],
        "days": overall["days"],
        "verdict": overall["verdict"],
        "static_profit": round(overall["static_profit"], 5),
        "learned_profit": round(overall["learned_profit"], 5),
        "gain_profit": _rounded(overall["gain"]),
        "static_bps": round(overall["static_move"] * 1e4, 2),
        "learned_bps": round(overall["learned_move"] * 1e4, 2),
        "gain_bps": {name: round(value * 1e4, 2) for name, value in overall["gain_move"].items()},
        "gain_fitted_bps": round(promise["gain_fitted_move"] * 1e4, 2),
        "optimism_bps": round(promise["optimism_move"] * 1e4, 2),
        "groups_called": sum(group["comparison"]["verdict"] != "not enough evidence" for group in report["by_group"]),
        "groups": len(report["by_group"]),
        "funding_missing_share": round(report["costs"]["funding_missing_share"], 3),
    }


def _rounded(estimate: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in estimate.items()}


if __name__ == "__main__":
    main()
