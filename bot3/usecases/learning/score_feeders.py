"""Score every feeder from its shadow trades, and publish the scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot3.errors import LearningError
from bot3.learning.feeders.permissions import feeder_permissions
from bot3.learning.feeders.scores import ScoreSettings, feeder_scores
from bot3.learning.validity import require_readable
from bot3.ports.learning import ScoreRepository
from bot3.ports.record import PlatformRecord
from bot3.trading.recommendations import FeederScore
from bot3.trading.trades import RunMode


def score_feeders(
    record: PlatformRecord, *, run_modes: Sequence[RunMode], now: datetime, settings: ScoreSettings
) -> tuple[FeederScore, ...]:
    """Compute and publish the scores of all feeders from the shadow trades closed by `now` (market time); return them.

    A feeder's tier can be raised only at the first scoring of a UTC day of market time, also after a restart, because the last published
    scores are compared. Raises LearningError, and publishes nothing, if a score is out of bounds.
    """
    shadow_trades = record.shadow_trades.frame(as_of=now, run_modes=run_modes)
    permissions = feeder_permissions(shadow_trades, now=now, stop_loss=settings.stop_loss, round_trip=settings.round_trip)
    scores = feeder_scores(
        shadow_trades,
        now=now,
        settings=settings,
        open_nodes={node for node, of in permissions.items() if of.is_open},
        previous=_in_force(record.feeder_scores, now=now),
    )
    for score in scores:
        require_readable(score)
    record.feeder_scores.publish(scores)
    return scores


def _in_force(published: ScoreRepository, *, now: datetime) -> tuple[FeederScore, ...]:
    try:
        return published.as_of(now)
    except LearningError:
        return ()  # none were published yet, or they are out of bounds: there is no tier to compare with
