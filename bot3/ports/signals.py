"""Store the signals of feeders' models by week; each model was trained on data before its week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import pandas as pd


class SignalStore(Protocol):
    """Signals in partitions, one for each feeder and week. Writing a partition again replaces it as a whole.

    The signal frame: feeder_id, pair (str), is_short (bool), confidence (float64), candle_open_time, known_at (datetime64[us, UTC]),
    model_digest, horizon (`Horizon`'s value), sorted by known_at, pair.
    """

    def write_week(self, feeder_id: str, week: str, signals: pd.DataFrame) -> None:
        """Replace a partition; week is the Monday's date, "2025-01-06"."""
        ...

    def weeks(self, feeder_id: str) -> tuple[str, ...]:
        """Return the stored weeks of a feeder as Mondays' dates, sorted; a stored week may have no signal."""
        ...

    def signals(self, *, feeder_ids: Sequence[str], start: datetime, end: datetime) -> pd.DataFrame:
        """Return the signals of some feeders with start <= known_at < end; an empty frame if there are none."""
        ...
