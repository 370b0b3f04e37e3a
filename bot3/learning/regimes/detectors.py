"""What a regime detector computes, the hysteresis that detectors share, and the states made of a detection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.market.instants import instant_of
from bot3.market.regimes import Regime, RegimeState

WARM_UP_HOURS = 72
"""Hours at the start of the index that have no regime."""
_ORDER = tuple(Regime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The regime of every hour of an index, each computed from that hour and earlier ones.

    Parameters
    ----------
    probabilities : array of shape (n, 4)
        Probabilities in the order of `Regime`, or 1 for the detected regime if a detector has none.
    regime, since : array of shape (n,)
        Index in `Regime` of the regime in force, and the row in which it came into force.
    """

    probabilities: NDArray[np.float64]
    regime: NDArray[np.int64]
    since: NDArray[np.int64]


class RegimeDetector(Protocol):
    """Detects the regime of each hour. A change of later hours does not change an hour's result."""

    @property
    def version(self) -> str:
        """Return the detector's name and a digest of its settings."""

    def detect(self, log_index: NDArray[np.float64]) -> Detection:
        """Detect the regimes of an hourly log price, shape (n,), n at least 1: of the market's index, or of one pair.

        The first `WARM_UP_HOURS` rows have no meaning.
        """


def regime_states(index: pd.Series[Any], *, detector: RegimeDetector, computed_at: datetime) -> tuple[RegimeState, ...]:
    """Compute the regime state of every hour of an index from that hour and earlier ones only.

    The first `WARM_UP_HOURS` hours have no state.
    """
    found = detector.detect(np.asarray(index, dtype=np.float64))
    known_us = pd.DatetimeIndex(index.index).as_unit("us").asi8
    version = detector.version
    return tuple(
        RegimeState(
            regime=_ORDER[found.regime[i]],
            probabilities=_four(found.probabilities[i]),
            since=instant_of(int(known_us[found.since[i]])),
            known_at=instant_of(int(known_us[i])),
            computed_at=computed_at,
            version=version,
        )
        for i in range(WARM_UP_HOURS, len(index))
    )


def with_hysteresis(probabilities: NDArray[np.float64], *, switch_at: float, switch_hours: int) -> Detection:
    """Return the regimes in force: another one replaces it after having more than `switch_at` of the probability for `switch_hours` rows.

    The regime in force before the first row is sideways.
    """
    regime, since = _in_force(probabilities, switch_at, switch_hours)
    return Detection(probabilities=probabilities, regime=regime, since=since)


@numba.njit(cache=True)
def _in_force(probabilities: Any, switch_at: float, switch_hours: int) -> Any:
    # Return the regime in force in each row, and the row in which it came into force.
    n = len(probabilities)
    chosen = np.empty(n, dtype=np.int64)
    since = np.empty(n, dtype=np.int64)
    # Start in regime 2 (sideways). Count the consecutive rows in which one candidate has more than `switch_at` of the probability.
    regime, began, count, candidate = 2, 0, 0, 2
    for i in range(n):
        best = int(np.argmax(probabilities[i]))
        if best != regime and probabilities[i, best] > switch_at:
            count = count + 1 if best == candidate else 1
            candidate = best
            if count >= switch_hours:
                regime, began, count = best, i, 0
        else:
            count = 0
        chosen[i], since[i] = regime, began
    return chosen, since


def _four(row: NDArray[np.float64]) -> tuple[float, float, float, float]:
    bull, bear, sideways, volatile = (float(value) for value in row)
    return bull, bear, sideways, volatile
