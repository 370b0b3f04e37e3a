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
    """Write and return a feeder's signals of one week, up to the candle that closed by now.

    The newest model known at the week's first instant makes them, so every signal is out of sample.

    Raises
    ------
    LearningError
        If no model was known by then.
    ModelError
        If its file is missing or was changed.
    """
    start = week_start(week)
    entry = registry.newest(feeder_id, as_of=start)
    text = models.read(entry.digest)
    made = predict_signals(feeder_id, text, panel, start=start, end=min(start + WEEK, now + _INSTANT))
    signals.write_week(feeder_id, week, made)
    return made
