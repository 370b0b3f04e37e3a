"""What kind of market it is: four regimes, and the state that is known at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Regime(StrEnum):
    """The market's regime (of the equal-weight index of the pairs traded)."""

    BULL_TRENDING = "bull_trending"
    BEAR_TRENDING = "bear_trending"
    SIDEWAYS = "sideways"
    VOLATILE = "volatile"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeState:
    """The regime as it was known at a time: the forward filter's probabilities, and the hysteresis' choice.

    Parameters
    ----------
    regime : Regime
        The regime in force after hysteresis.
    probabilities : tuple of float
        Filtered probabilities in the order of `Regime`; sum to 1.
    since : datetime
        When the regime in force began.
    known_at : datetime
        Close of the last candle that was used.
    """

    regime: Regime
    probabilities: tuple[float, float, float, float]
    since: datetime
    known_at: datetime
    computed_at: datetime
    version: str
