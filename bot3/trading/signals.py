"""Signals of the feeders on a pair at the close of a candle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from bot3.errors import InvalidTradeError
from bot3.trading.horizons import Horizon

FEEDER_IDS = tuple(f"F{number:02d}" for number in range(1, 11))
UNKNOWN_FEEDER = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Signal of one feeder to enter a trade on a pair, known at the close of a candle.

    Parameters
    ----------
    feeder_id : str
        "F01" to "F10".
    candle_open_time : datetime
        Open time of the candle whose close made the signal known.
    known_at : datetime
        That candle's close; an order can be sent from then on.
    confidence : float
        Calibrated probability, 0 to 1, that the trade earns more than its costs.
    model_digest : str
        sha256 of the model file that made the signal.
    horizon : Horizon
        Longest time that its trade is open.
    """

    feeder_id: str
    pair: str
    is_short: bool
    confidence: float
    candle_open_time: datetime
    known_at: datetime
    model_digest: str
    horizon: Horizon

    def __post_init__(self) -> None:
        if self.feeder_id not in FEEDER_IDS:
            raise InvalidTradeError(f"feeder {self.feeder_id!r} is unknown: it must be one of {FEEDER_IDS}")
        if not 0.0 <= self.confidence <= 1.0:
            raise InvalidTradeError(f"confidence must be from 0 to 1, was {self.confidence}")


def feeder_of_enter_tag(enter_tag: str | None) -> str:
    """Parse the feeder from an enter tag ("F07", "F07|c=0.73|bull"); return "unknown" for any other text or None."""
    match = re.match(r"(F\d{2})(?:\||$)", enter_tag or "")
    return match[1] if match is not None and match[1] in FEEDER_IDS else UNKNOWN_FEEDER
