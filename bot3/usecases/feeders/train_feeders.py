"""Train a feeder's model on the data known by a market time, and store the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from bot3.learning.feeders.feature_panel import FeaturePanel
from bot3.learning.feeders.specs import FeederSpec, find_feeder
from bot3.learning.feeders.training import TrainingSettings, train_feeder_model
from bot3.ports.candles import CandleReader
from bot3.ports.models import ModelStore
from bot3.ports.record import ModelEntry
from bot3.usecases.feeders.panels import build_panel


def train_feeder(
    feeder_id: str,
    *,
    until: datetime,
    pairs: Sequence[str],
    candles: CandleReader,
    models: ModelStore,
    now: datetime,
    train_days: float,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008  # frozen
    panel: FeaturePanel | None = None,
) -> ModelEntry:
    """Train a feeder on trades whose horizon had ended by `until` and store the model; return its entry, which the caller registers.

    Parameters
    ----------
    until : datetime
        Market time; the model is known from then on.
    now : datetime
        Wall time, for `computed_at`.
    train_days : float
        Length of the training window in days, back from `until`. Earlier candles are not trained on; only features are computed from them.
    panel : FeaturePanel, optional
        Features of the feeder's timeframe over at least that span, computed once for several feeders (`build_panel`); computed here by
        default.

    Raises
    ------
    CandleError
        If candles cannot be read.
    LearningError
        If the feeder is unknown, or there are no candles before `until`.
    StoreError
        If the model cannot be written.
    """
    spec = find_feeder(feeder_id)
    start = until - timedelta(days=train_days)
    if panel is None:
        panel = build_panel(candles, pairs=pairs, start=start, end=until, timeframe=spec.timeframe)
    trained = train_feeder_model(spec, panel, start=start, until=until, settings=settings)
    return ModelEntry(
        feeder_id=feeder_id,
        digest=models.put(trained.text),
        known_at=until,
        trained_from=trained.header.trained_from,
        trained_until=until,
        rows=trained.header.rows,
        log_loss_oof=trained.header.log_loss_oof,
        base_log_loss_oof=trained.header.base_log_loss_oof,
        information=trained.header.information.value,
        long_threshold=trained.header.long.threshold,
        short_threshold=trained.header.short.threshold,
        settings_digest=feeder_settings_digest(spec, settings=settings, train_days=train_days),
        computed_at=now,
    )


def feeder_settings_digest(spec: FeederSpec, *, settings: TrainingSettings, train_days: float) -> str:
    """Return a digest of everything that the model depends on, except the candles."""
    parts = {"spec": asdict(spec), "settings": asdict(settings), "train_days": train_days, "features": spec.layout.names}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
