"""Compare the replay of 32 stops x 32 targets by production's kernel with vectorbt, numpy and pandas, in one process.

    python -m benchmarks.replay [--rounds 5] [--trades 47733] [--many 1000000]

First the results of the rivals are compared with the kernel's (at most one in a thousand may differ); then they run in turns with it,
vectorbt on 4,000 and pandas on 4 of the trades. Figures are trade-cells (a trade under one stop and target) per cpu-second, the median of
the rounds. The kernel charges everything it charges in production: fees by exit type, slippage, funding, gaps, liquidation. numpy computes
all of that too, on the same trades: every cell (`numpy_cells`), or by the kernel's corners (`numpy_corners`); the ratio is to the faster
one. The JSON lists what the others charge.
vectorbt is not part of the platform; to include it, use a separate virtual environment:

    python3.11 -m venv .venv-rivals && .venv-rivals/bin/pip install 'vectorbt[rust]>=1.2' 'pandas>=3' 'numba>=0.63'
    .venv-rivals/bin/python -m benchmarks.replay
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.output import print_result, tell
from benchmarks.replay_numpy import numpy_sums
from benchmarks.replay_rivals import has_vectorbt, pandas_cell, vectorbt_cell, vectorbt_windows, windows
from benchmarks.replay_world import GROUPS, HORIZON, ReplayWorld, replay_world
from bot3.learning.replay.grids import default_grid
from bot3.learning.replay.replay import GroupSums, ReplayCosts, outcomes, sum_groups
from bot3.trading.exit_rules import NO_RULES, ExitRules

GRID = default_grid()
CELLS = GRID.stops.size * GRID.targets.size
COSTS = ReplayCosts(target_rests=True)
FREE = ReplayCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=0.0)
FEE = 0.0005
_CELLS_TRIED = ((5, 9), (16, 20), (24, 26))
_VECTORBT_TRADES = 4_000
_TOLERANCE = 1e-6
_EVERYTHING = "fees by exit type, slippage by exit type, funding to the exit, gaps, liquidation at the trade's leverage; all sums"
CHARGES = {
    "kernel": _EVERYTHING,
    "numpy_cells": _EVERYTHING,
    "numpy_corners": _EVERYTHING,
    "pandas": "one fee on both sides, gaps; no sums",
    "vectorbt": "gaps; no sums",
}


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trades", type=int, default=47_733)
    parser.add_argument("--many", type=int, default=1_000_000)
    arguments = parser.parse_args()
    world = replay_world(arguments.trades)
    tell(f"{arguments.trades} trades, {len(world.candles)} candles, horizon {HORIZON}, {GROUPS} groups, {CELLS} cells")
    agreement = _agreement(world)
    works = _works(world)
    rates = _interleaved(works, rounds=arguments.rounds)
    many = replay_world(arguments.many)
    many_rates = _interleaved({"kernel": (_kernel(many), arguments.many * CELLS)}, rounds=arguments.rounds)
    _print(rates, many_rates["kernel"], agreement=agreement, working_set_mb=_working_set_mb(many), scaling=_scaling(many))


def _kernel(world: ReplayWorld, *, rules: ExitRules = NO_RULES) -> Callable[[], GroupSums]:
    return lambda: sum_groups(world.candles, world.paths, group=world.group, groups=GROUPS, grid=GRID, costs=COSTS, exit_rules=rules)


def _numpy(world: ReplayWorld, *, by_corners: bool) -> Callable[[], GroupSums]:
    return lambda: numpy_sums(world, grid=GRID, costs=COSTS, by_corners=by_corners)


def _works(world: ReplayWorld) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return the functions to time, by name, each with the number of trade-cells that it replays."""
    rule = ExitRules(giveback_activation_sigma=1.0, giveback_share=0.5)
    works: dict[str, tuple[Callable[[], Any], int]] = {
        "kernel": (_kernel(world), len(world.paths) * CELLS),
        "kernel_with_giveback": (_kernel(world, rules=rule), len(world.paths) * CELLS),
        "numpy_cells": (_numpy(world, by_corners=False), len(world.paths) * CELLS),
        "numpy_corners": (_numpy(world, by_corners=True), len(world.paths) * CELLS),
        "pandas": (lambda: _pandas(world), 4 * len(_CELLS_TRIED)),
    }
    if has_vectorbt():
        some = world.take(_VECTORBT_TRADES)
        prepared = vectorbt_windows(some)
        for engine in ("numba", "rust"):
            works[f"vectorbt_{engine}"] = (
                lambda engine=engine: [_vectorbt(some, prepared, cell, engine=engine) for cell in _CELLS_TRIED],  # type: ignore[misc]
                len(some.paths) * len(_CELLS_TRIED),
            )
    return works


def _vectorbt(world: ReplayWorld, prepared: dict[str, Any], cell: tuple[int, int], *, engine: str) -> Any:
    sigma = world.paths.sigma
    return vectorbt_cell(prepared, stop_move=GRID.stops[cell[0]] * sigma, target_move=GRID.targets[cell[1]] * sigma, engine=engine)


def _pandas(world: ReplayWorld) -> list[float]:
    few = world.take(4)
    columns = windows(few)
    found = []
    for k in range(len(few.paths)):
        frame = pd.DataFrame({name: column[k] for name, column in columns.items()})
        rate, is_short, sigma = float(few.paths.open_rate[k]), bool(few.paths.is_short[k]), float(few.paths.sigma[k])
        for stop, target in _CELLS_TRIED:
            moves = {"stop_move": GRID.stops[stop] * sigma, "target_move": GRID.targets[target] * sigma}
            found.append(pandas_cell(frame, rate=rate, is_short=is_short, fee=FEE, **moves))
    return found


def _ours(world: ReplayWorld, cell: tuple[int, int], *, costs: ReplayCosts) -> Any:
    n = len(world.paths)
    stop, target = np.full(n, GRID.stops[cell[0]]), np.full(n, GRID.targets[cell[1]])
    return outcomes(world.candles, world.paths, stop_sigma=stop, target_sigma=target, costs=costs).net


def _agreement(world: ReplayWorld) -> dict[str, float]:
    """Return the share of results that differ from the kernel's, by rival. Raises SystemExit if one is above 0.001.

    For numpy, a sum of a group counts as different if it is off by more than 1e-4 of the largest sum of its kind and group, and a number of
    trades if it is not equal. For pandas and vectorbt, the net move of a trade counts as different if it is off by more than 1e-6.
    """
    differs = {f"numpy_{name}": _sums_that_differ(world, by_corners=name == "corners") for name in ("cells", "corners")}
    unfunded = _without_funding(world)
    fees = ReplayCosts(taker_fee=FEE, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=0.0)
    four = unfunded.take(4)
    loop = np.array(_pandas(unfunded)).reshape(4, -1)
    ours_loop = np.stack([_ours(four, cell, costs=fees) for cell in _CELLS_TRIED], axis=1)
    differs["pandas"] = float((np.abs(loop - ours_loop) > _TOLERANCE).mean())
    if has_vectorbt():
        some = unfunded.take(_VECTORBT_TRADES)
        prepared = vectorbt_windows(some)
        for engine in ("numba", "rust"):
            gaps = [np.abs(_vectorbt(some, prepared, cell, engine=engine) - _ours(some, cell, costs=FREE)) for cell in _CELLS_TRIED]
            differs[f"vectorbt_{engine}"] = float((np.stack(gaps) > _TOLERANCE).mean())
    tell(f"share of results that differ from the kernel's: {differs}")
    if max(differs.values()) > 1e-3:
        raise SystemExit("rivals and kernel do not agree, so their speeds cannot be compared")
    return differs


def _sums_that_differ(world: ReplayWorld, *, by_corners: bool) -> float:
    """Return the share of numpy's sums and counts that differ from the kernel's, with all costs and each trade's own leverage."""
    ours, theirs = _kernel(world)(), _numpy(world, by_corners=by_corners)()
    scale = np.abs(ours.sums).max(axis=(2, 3), keepdims=True)
    gaps = np.abs(ours.sums - theirs.sums) > 1e-4 * scale
    return float(np.append(gaps.ravel(), ours.n != theirs.n).mean())


def _without_funding(world: ReplayWorld) -> ReplayWorld:
    """Return the world at leverage 1 and without funding, because the rivals vectorbt and pandas compute neither."""
    candles = replace(world.candles, funding=np.zeros_like(world.candles.funding))
    return replace(world, candles=candles, paths=replace(world.paths, leverage=np.ones(len(world.paths))))


def _interleaved(works: dict[str, tuple[Callable[[], Any], int]], *, rounds: int) -> dict[str, list[float]]:
    """Run each function once, then time all of them in turns; return the trade-cells per cpu-second of every round, by name."""
    for work, _ in works.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, cells) in works.items():
            began = time.process_time()
            work()
            rates[name].append(cells / (time.process_time() - began))
    for name, values in rates.items():
        tell(f"{name:22s} {np.median(values):.3g} trade-cells per cpu-second ({min(values):.3g} to {max(values):.3g})")
    return rates


def _working_set_mb(world: ReplayWorld) -> float:
    """Return the largest memory that a replay allocates in Python and numpy, in MB.

    Candles and trades exist before, and the corners of one group (0.1 MB), which compiled code allocates, are not traced.
    """
    work = _kernel(world)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def _scaling(world: ReplayWorld) -> dict[str, float]:
    found = {}
    for n in (len(world.paths) // 20, len(world.paths) // 5, len(world.paths)):
        work = _kernel(world.take(n))
        began = time.process_time()
        work()
        found[str(n)] = round(time.process_time() - began, 4)
    return found


def _print(
    rates: dict[str, list[float]], many: list[float], *, agreement: dict[str, float], working_set_mb: float, scaling: dict[str, float]
) -> None:
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    vectorbt = max((rate for name, rate in medians.items() if name.startswith("vectorbt")), default=None)
    numpy = max(medians["numpy_cells"], medians["numpy_corners"])
    if vectorbt is None:
        tell("vectorbt is not installed, so there is no ratio to it; see `python -m benchmarks.replay --help`")
    print_result(
        {
            "benchmark": "replay",
            "cells_per_cpu_s": medians["kernel"],
            "cells_per_cpu_s_1m": float(np.median(many)),
            "ratio_vectorbt": None if vectorbt is None else medians["kernel"] / vectorbt,
            "ratio_numpy": medians["kernel"] / numpy,
            "ratio_numpy_cells": medians["kernel"] / medians["numpy_cells"],
            "working_set_mb_1m": round(working_set_mb, 1),
            "cells_per_cpu_s_giveback": medians["kernel_with_giveback"],
            "cpu_s_by_trades": scaling,
            "rivals": {name: rate for name, rate in medians.items() if not name.startswith("kernel")},
            "outcomes_that_differ": agreement,
            "charges": CHARGES,
        }
    )


if __name__ == "__main__":
    main()
