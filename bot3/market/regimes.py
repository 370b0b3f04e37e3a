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
    """The market's regime as known at a time: the probabilities of the four regimes, and the one in force.

    The regime in force changes only after the same other regime was detected for several hours (hysteresis).

    Parameters
    ----------
    regime : Regime
        The regime in force.
    probabilities : tuple of float
        Probabilities given the candles up to `known_at`, in the order of `Regime`; they sum to 1.
    since : datetime
        Market time at which the regime in force began.
    known_at : datetime
        Close time of the last candle used.
    computed_at : datetime
        Wall time of the computation.
    version : str
        Name of the detector and digest of its settings.
    """

    regime: Regime
    probabilities: tuple[float, float, float, float]
    since: datetime
    known_at: datetime
    computed_at: datetime
    version: str
