"""Train a feeder's model on the data known by a market time, and store the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from bot3.learning.feeders.feature_panel import FeaturePanel, feature_panel
from bot3.learning.feeders.specs import FeederSpec, find_feeder
from bot3.learning.feeders.training import TrainingSettings, train_feeder_model
from bot3.market.features import FEATURE_NAMES, FEATURE_WARM_UP_CANDLES
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.ports.models import ModelStore
from bot3.ports.record import ModelEntry
from bot3.usecases.feeders.predict_signals import GAP_ROOM_CANDLES


def build_panel(candles: CandleReader, *, pairs: Sequence[str], start: datetime, end: datetime, timeframe: str = "5m") -> FeaturePanel:
    """Compute the features of the candles from the warm-up before `start` to the last one closed by `end`; omit pairs without candles.

    Raises
    ------
    CandleError
        If a pair's candles cannot be read.
    LearningError
        If no pair has candles.
    """
    # Candles may be missing in the warm-up, as they may for a live signal.
    first = start - (FEATURE_WARM_UP_CANDLES + GAP_ROOM_CANDLES) * timeframe_duration(timeframe)
    frames = {pair: candles.candles(pair, timeframe, start=first, end=end) for pair in pairs}
    return feature_panel({pair: frame for pair, frame in frames.items() if len(frame)}, timeframe=timeframe)


def train_feeder(
    feeder_id: str,
    *,
    until: datetime,
    pairs: Sequence[str],
    candles: CandleReader,
    models: ModelStore,
    now: datetime,
    timeframe: str = "5m",
    train_days: float = 150.0,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008  # frozen
    panel: FeaturePanel | None = None,
) -> ModelEntry:
    """Train a feeder on labels whose horizon had ended by `until` and store the model; return its entry, which the caller registers.

    Parameters
    ----------
    until : datetime
        Market time; the model is known from then on.
    now : datetime
        Wall time, for `computed_at`.
    train_days : float
        Length of the training window in days, back from `until`. Earlier candles are not trained on; only features are computed from them.
    panel : FeaturePanel, optional
        Features over at least that span, computed once for several feeders (`build_panel`); computed here by default.

    Raises
    ------
    CandleError
        If candles cannot be read.
    LearningError
        If the feeder is unknown, there are no candles, or its labels cannot be trained on (`train_feeder_model`).
    StoreError
        If the model cannot be written.
    """
    spec = find_feeder(feeder_id)
    start = until - timedelta(days=train_days)
    if panel is None:
        panel = build_panel(candles, pairs=pairs, start=start, end=until, timeframe=timeframe)
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
        threshold=trained.threshold,
        settings_digest=feeder_settings_digest(spec, settings=settings, train_days=train_days),
        computed_at=now,
    )


def feeder_settings_digest(spec: FeederSpec, *, settings: TrainingSettings, train_days: float) -> str:
    """Return a digest of everything that the model depends on, except the candles."""
    parts = {"spec": asdict(spec), "settings": asdict(settings), "train_days": train_days, "features": FEATURE_NAMES}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
