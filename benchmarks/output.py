"""Output of benchmarks: text for people on standard error, one JSON object as the last line of standard output."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence

import numpy as np


def tell(text: str) -> None:
    """Print a line of text on standard error."""
    print(text, file=sys.stderr, flush=True)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and the maximum of durations in seconds, of which there must be at least one."""
    p50, p95, largest = np.quantile(np.asarray(values), [0.5, 0.95, 1.0])
    return {"p50_s": round(float(p50), 4), "p95_s": round(float(p95), 4), "max_s": round(float(largest), 4)}


def print_result(result: Mapping[str, object]) -> None:
    """Print the result as a JSON object, with the Python version and the machine."""
    print(json.dumps({**result, "python": platform.python_version(), "machine": platform.machine()}), flush=True)
