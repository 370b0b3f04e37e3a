"""Make the signals of a feeder's week with the model that was known when the week began."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from bot3.learning.feeders.feature_panel import FeaturePanel
from bot3.market.weeks import WEEK, week_start
from bot3.ports.models import ModelStore
from bot3.ports.record import ModelRegistry
from bot3.ports.signals import SignalStore
from bot3.usecases.feeders.predict_signals import predict_signals

_INSTANT = timedelta(microseconds=1)


def make_signals(
    feeder_id: str,
    week: str,
    panel: FeaturePanel,
    *,
    registry: ModelRegistry,
    models: ModelStore,
    signals: SignalStore,
    now: datetime,
) -> pd.DataFrame:
    """Compute a feeder's signals of one week, up to the last candle that closed by `now` (market time); store and return them.

    They are computed with the newest model known at the week's first instant, so every signal is out of sample. Stored signals of the week
    are replaced.

    Raises
    ------
    LearningError
        If no model of the feeder was known when the week began.
    ModelError
        If the model's file is missing, was changed or is invalid.
    """
    start = week_start(week)
    entry = registry.newest(feeder_id, as_of=start)
    text = models.read(entry.digest)
    made = predict_signals(feeder_id, text, panel, start=start, end=min(start + WEEK, now + _INSTANT))
    signals.write_week(feeder_id, week, made)
    return made
