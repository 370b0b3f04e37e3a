"""Compare regime detectors: on planted regimes, and by the return of the next 24 hours on recorded candles.

    python -m benchmarks.regimes [--worlds 24] [--candles DIRECTORY]

`regime_world.py` defines the worlds and the seeds: the detectors were tuned on other seeds than those judged here. Balanced accuracy is the
mean over the four regimes of the share of their hours that are recognised at the time, in the second year of a world; chance is 0.25.
`DIRECTORY` has freqtrade's files of 1h candles (`PAIR-1h-futures.feather`); without it only the planted part runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.output import print_result, tell
from benchmarks.regime_returns import judge_returns
from benchmarks.regime_rivals import AveragesDetector, JumpDetector, ThresholdDetector
from benchmarks.regime_world import HOURS_A_YEAR, JUDGING_SEEDS, RegimeWorld, make_regime_world, worlds_digest
from bot3.learning.regimes.detectors import RegimeDetector
from bot3.market.regimes import Regime
from bot3.usecases.learning.detect_regimes import REGIME_DETECTOR

RIVALS: Mapping[str, RegimeDetector] = {
    detector.version: detector for detector in (ThresholdDetector(), AveragesDetector(), JumpDetector())
}
_PERIODS = HOURS_A_YEAR / (30 * 24)


def run(*, worlds: int, candles: Path | None = None) -> dict[str, object]:
    """Run the benchmark on the first worlds of the judging seeds, and return its JSON object."""
    started = time.monotonic()
    seeds = JUDGING_SEEDS[:worlds]
    planted = [make_regime_world(seed) for seed in seeds]
    ours = planted_figures(REGIME_DETECTOR, planted)
    found = {
        "benchmark": "regimes",
        "detector": REGIME_DETECTOR.version,
        "worlds_digest": worlds_digest(seeds),
        "worlds": len(seeds),
        **ours,
        "ceiling": ceiling_figures(planted),
        "rivals": {name: planted_figures(detector, planted) for name, detector in RIVALS.items()},
    }
    if candles is not None:
        found["next_24h"] = judge_returns(candles, {REGIME_DETECTOR.version: REGIME_DETECTOR, **RIVALS})
    else:
        tell("recorded candles were not judged: --candles names no directory")
    return found | {"seconds": round(time.monotonic() - started, 1)}


def planted_figures(detector: RegimeDetector, worlds: Sequence[RegimeWorld]) -> dict[str, object]:
    """Return a detector's figures over some worlds, each the mean over worlds (see `labels_figures`)."""
    figures = labels_figures([detector.detect(world.log_index).regime for world in worlds], worlds)
    tell(f"{detector.version}: {figures}")
    return figures


def ceiling_figures(worlds: Sequence[RegimeWorld]) -> dict[str, object]:
    """Return the figures of the most probable regime under the true parameters, without hysteresis."""
    figures = labels_figures([world.filtered.argmax(axis=1) for world in worlds], worlds)
    tell(f"filter with the true parameters: {figures}")
    return figures


def labels_figures(labels: Sequence[NDArray[np.int64]], worlds: Sequence[RegimeWorld]) -> dict[str, object]:
    """Return the figures of regimes that were detected in worlds, in the second year of each.

    Returns
    -------
    dict
        `balanced_accuracy`, with its `standard_error` over worlds (None for one world); `switches` of the regime in force in 30 days;
        `recall` by regime; `never`: the share of true regimes' spans that were never recognised; `delay_hours`: the median hours until
        recognition of the others.
    """
    recalls, switches, delays = [], [], []
    for label, world in zip(labels, worlds, strict=True):
        seen, truth = label[HOURS_A_YEAR:], world.regime[HOURS_A_YEAR:]
        recalls.append([float((seen[truth == regime] == regime).mean()) if (truth == regime).any() else np.nan for regime in range(4)])
        switches.append(np.count_nonzero(np.diff(seen)) / _PERIODS)
        delays.extend(_delays(seen, truth))
    accuracy, waited = np.nanmean(recalls, axis=1), np.array(delays)
    error = float(accuracy.std(ddof=1) / np.sqrt(len(accuracy))) if len(accuracy) > 1 else None
    return {
        "balanced_accuracy": round(float(accuracy.mean()), 4),
        "standard_error": None if error is None else round(error, 4),
        "switches": round(float(np.mean(switches)), 2),
        "recall": {str(regime): round(float(share), 3) for regime, share in zip(Regime, np.nanmean(recalls, axis=0), strict=True)},
        "never": round(float(np.isinf(waited).mean()), 3),
        "delay_hours": round(float(np.median(waited[np.isfinite(waited)])), 1),
    }


def _delays(seen: NDArray[np.int64], truth: NDArray[np.int64]) -> list[float]:
    """Return the hours from the start of each true regime until it was recognised; infinite if it never was."""
    bounds = [0, *(np.flatnonzero(np.diff(truth)) + 1), len(truth)]
    found = []
    for start, end in pairwise(bounds):
        right = np.flatnonzero(seen[start:end] == truth[start])
        found.append(float(right[0]) if len(right) else np.inf)
    return found


def main() -> None:
    """Parse the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=len(JUDGING_SEEDS), choices=range(1, len(JUDGING_SEEDS) + 1), metavar="1..24")
    parser.add_argument("--candles", type=Path, default=None)
    given = parser.parse_args()
    print_result(run(worlds=given.worlds, candles=given.candles))


if __name__ == "__main__":
    main()
