"""The four market regimes, and the regime state known at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Regime(StrEnum):
    """Regime of the market, measured on the equal-weight index of the traded pairs."""

    BULL_TRENDING = "bull_trending"
    BEAR_TRENDING = "bear_trending"
    SIDEWAYS = "sideways"
    VOLATILE = "volatile"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeState:
    """Regime as known at a time: the probabilities of the forward filter, and the regime chosen by hysteresis.

    Parameters
    ----------
    regime : Regime
        The regime in force after hysteresis.
    probabilities : tuple of float
        Filtered probabilities in the order of `Regime`; sum to 1.
    since : datetime
        Start of the regime in force.
    known_at : datetime
        Close of the last candle used.
    """

    regime: Regime
    probabilities: tuple[float, float, float, float]
    since: datetime
    known_at: datetime
    computed_at: datetime
    version: str
