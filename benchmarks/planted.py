"""Score the choice of stop and target, and the gate that permits trading, in synthetic worlds whose truth is known.

    python -m benchmarks.planted [--worlds 40] [--nulls 1000] [--processes 2] [--paths 60000] [--only gates]

`planted_world.py` defines the worlds and their exact truth, which were fixed before any method was tuned; the methods are in
`planted_methods.py`. A cell is a pair, direction and leverage bin; a node is a pair and direction; the gate decides which nodes may trade.
Regret is the expectancy lost against the best setting of each cell, in bps of the price a trade, if every trade is made. Optimism is the
expectancy that a method reports for its choice minus the true one. Regret in growth is the expected growth of the wallet's logarithm lost
against the setting with the highest one, in 1e-4 a trade at the daemon's size; `ours` chooses by the mean, `ours_by_utility` as production.
In null worlds no setting has an edge. The learner, the use case and the gate are production's (`planted_learner.py`) and review every day
of a year.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping

import numpy as np

from benchmarks.output import print_result, tell
from benchmarks.planted_bank import BANK_PATHS, Bank, make_bank
from benchmarks.planted_methods import ours, ours_with_memory
from benchmarks.planted_nulls import NullStudy, Power, clopper_pearson_upper, rival_gates, study_nulls, study_power
from benchmarks.planted_scores import Scores, score_methods
from benchmarks.planted_skewed import SkewStudy, study_skewed
from benchmarks.planted_world import SIZES, world_digest

HETEROGENEITIES = (0.0, 1.0, 1.8)
PARTS = CHOICE, GATES = "choice", "gates"
OURS, BY_UTILITY, NAIVE = "ours", "ours_by_utility", "naive_best_average_min_5"
DRIFT_WORLDS, POWER_WORLDS, RIVAL_NULLS = 10, 20, 40


def run(*, worlds: int, nulls: int, processes: int = 1, paths: int = BANK_PATHS, only: str | None = None) -> dict[str, object]:
    """Run the benchmark, or only one of its `PARTS`, and return its JSON object."""
    started = time.monotonic()
    bank = make_bank(paths=paths)
    found: dict[str, object] = {"benchmark": "planted", "world_digest": world_digest(bank), "worlds": worlds, "nulls": nulls}
    if only != GATES:
        found |= run_choice(bank, worlds=worlds)
    if only != CHOICE:
        found |= run_gates(bank, worlds=worlds, nulls=nulls, processes=processes)
    return found | {"seconds": round(time.monotonic() - started, 1)}


def run_choice(bank: Bank, *, worlds: int) -> dict[str, object]:
    """Measure the choice of stop and target; return its figures."""
    scores = {h: score_methods(bank, seeds=range(worlds), heterogeneity=h) for h in HETEROGENEITIES}
    for heterogeneity, of_methods in scores.items():
        _tell_scores(heterogeneity, of_methods)
    return {
        **choice_figures(scores),
        "drift": drift_figures(bank, worlds=min(worlds, DRIFT_WORLDS)),
        "rivals": {name: _plain(name, scores) for name in scores[1.0] if name not in {OURS, BY_UTILITY}},
    }


def run_gates(bank: Bank, *, worlds: int, nulls: int, processes: int) -> dict[str, object]:
    """Measure how often the gate permits trading rightly and wrongly; return its figures."""
    zero = study_nulls(bank, worlds=nulls, zero_cost=True, processes=processes)
    tell(f"worlds in which every bin earns exactly 0: {zero}")
    skewed = study_skewed(worlds=nulls, processes=processes)
    tell(f"worlds with small wins and joint losses in which a node was opened: {skewed}")
    power = {h: study_power(bank, seeds=range(min(worlds, POWER_WORLDS)), heterogeneity=h) for h in HETEROGENEITIES[1:]}
    for heterogeneity, of in power.items():
        tell(f"the gate at heterogeneity {heterogeneity:g}: {of}")
    paying = study_nulls(bank, worlds=nulls, zero_cost=False, processes=processes)
    tell(f"worlds without skill: {paying}")
    return {
        **gate_figures(power, paying, zero),
        **skewed_figures(skewed),
        "rival_gates": rival_gates(bank, worlds=min(nulls, RIVAL_NULLS)),
    }


def choice_figures(scores: Mapping[float, Mapping[str, Scores]]) -> dict[str, object]:
    """Return the figures of the platform's own choice, by heterogeneity and trades in the cell."""
    no_difference = scores[0.0][OURS].by_size("regret")
    return {
        "regret_ratio": regret_ratio(scores[1.0]),
        "regret_ratio_by_heterogeneity": {f"{h:g}": regret_ratio(of_methods) for h, of_methods in scores.items()},
        **_plain(OURS, scores),
        "by_utility": _plain(BY_UTILITY, scores),
        "interval_coverage": {f"{h:g}": of_methods[OURS].by_size("covered") for h, of_methods in scores.items()},
        "regret_bps_error": {f"{h:g}": of_methods[OURS].error_by_size("regret") for h, of_methods in scores.items()},
        "optimism_bps_error": {f"{h:g}": of_methods[OURS].error_by_size("optimism") for h, of_methods in scores.items()},
        "regret_bps_no_difference": round(float(np.mean(list(no_difference.values()))), 3),
        "regret_bps_no_difference_worst": max(no_difference.values()),
    }


def regret_ratio(of_methods: Mapping[str, Scores]) -> dict[str, float]:
    """Return the platform's regret divided by that of the naive rule with a minimum of five trades, by trades in the cell."""
    mine, naive = (of_methods[name].regret.mean(axis=0) for name in (OURS, NAIVE))
    return {str(size): round(float(ratio), 4) for size, ratio in zip(SIZES, mine / naive, strict=True)}


def gate_figures(power: Mapping[float, Power], paying: NullStudy, zero: NullStudy) -> dict[str, object]:
    """Return the figures of the gate: wrong permissions in worlds without an edge, and cells that may trade in worlds with one."""
    return {
        "null_wrong_upper": round(paying.upper(paying.raised), 4),
        "null_wrong": paying.raised,
        "null_zero_wrong_upper": round(zero.upper(zero.raised), 4),
        "null_zero_wrong": zero.raised,
        "null_zero_open_upper": round(zero.upper(zero.opened), 4),
        "null_zero_forced_open_upper": round(zero.upper(zero.forced), 4),
        "null_zero_forced_open": zero.forced,
        "null_zero_best_log_evidence": round(zero.best_evidence, 3),
        "null_zero_wrong_by_lower_bound_alone": round(zero.lower_bound / zero.worlds, 4),
        "raised_share": {f"{h:g}": of.share for h, of in power.items()},
        "raised_share_worlds": {f"{h:g}": of.worlds for h, of in power.items()},
        "power": {f"{h:g}": of.found for h, of in power.items()},
        "raised_bins": {f"{h:g}": of.raised for h, of in power.items()},
        "raised_true_bps": {f"{h:g}": of.raised_bps for h, of in power.items()},
        "raised_wrong_share": {f"{h:g}": of.wrong_share for h, of in power.items()},
        "raised_wrong_share_ever": {f"{h:g}": of.wrong_share_ever for h, of in power.items()},
    }


def skewed_figures(found: Mapping[str, SkewStudy]) -> dict[str, object]:
    """Return the figures of worlds with small wins and joint losses; the bound is the highest of all kinds."""
    return {
        "null_wrong_upper_skewed": round(max(clopper_pearson_upper(study.opened, study.worlds) for study in found.values()), 4),
        "null_wrong_skewed": {kind: study.opened for kind, study in found.items()},
        "null_worlds_skewed": {kind: study.worlds for kind, study in found.items()},
    }


def drift_figures(bank: Bank, *, worlds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return the platform's regret if old trades keep their weight, and with the half-life that predicted best; by strength of drift."""
    methods = {"no_end": ours, "chosen": ours_with_memory}
    found = {drift: score_methods(bank, seeds=range(worlds), heterogeneity=1.0, methods=methods, drift=drift) for drift in (0.0, 1.0, 2.0)}
    return {f"{drift:g}": {name: of.by_size("regret") for name, of in scores.items()} for drift, scores in found.items()}


def _plain(name: str, scores: Mapping[float, Mapping[str, Scores]]) -> dict[str, object]:
    keys = {"regret_bps": "regret", "optimism_bps": "optimism", "worse_than_default_share": "worse", "growth_regret": "growth"}
    return {key: {f"{h:g}": of_methods[name].by_size(what) for h, of_methods in scores.items()} for key, what in keys.items()}


def _tell_scores(heterogeneity: float, of_methods: Mapping[str, Scores]) -> None:
    tell(f"\nheterogeneity {heterogeneity:g}: regret | optimism, bps a trade | regret in growth, by trades in the cell {SIZES}")
    for name, of in of_methods.items():
        columns = ["".join(f"{value:8.2f}" for value in of.by_size(what).values()) for what in ("regret", "optimism", "growth")]
        tell(f"{name:28s}{columns[0]} | {columns[1]} | {columns[2]}")


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=40, help="number of worlds for each heterogeneity")
    parser.add_argument("--nulls", type=int, default=1000, help="worlds without an edge: with costs, without, and of the worst skewed kind")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--paths", type=int, default=BANK_PATHS, help="price paths from which trades are drawn; another number creates other worlds"
    )
    parser.add_argument("--only", choices=PARTS, help="run only one part")
    told = parser.parse_args()
    print_result(run(worlds=told.worlds, nulls=told.nulls, processes=told.processes, paths=told.paths, only=told.only))


if __name__ == "__main__":
    main()
