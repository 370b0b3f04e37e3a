"""Score every feeder from its shadow trades, and publish the scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bot3.errors import LearningError
from bot3.learning.feeders.scores import ScoreSettings, feeder_scores
from bot3.learning.validity import require_readable
from bot3.ports.record import LearningStore, ShadowRecord
from bot3.trading.recommendations import FeederScore
from bot3.trading.trades import RunMode


class ShadowAndLearningRecord(ShadowRecord, LearningStore, Protocol):
    """The parts of the record that this use case needs."""


def score_feeders(
    record: ShadowAndLearningRecord, *, run_modes: Sequence[RunMode], now: datetime, settings: ScoreSettings
) -> tuple[FeederScore, ...]:
    """Compute and publish the scores of all feeders from the shadow trades closed by `now` (market time); return them.

    A feeder's tier can be raised only at the first scoring of a UTC day of market time, also after a restart, because the last published
    scores are compared.
    """
    shadow_trades = record.shadow_trades(as_of=now, run_modes=run_modes)
    scores = feeder_scores(shadow_trades, now=now, settings=settings, previous=_in_force(record, now=now))
    for score in scores:
        require_readable(score)
    record.publish_feeder_scores(scores)
    return scores


def _in_force(record: LearningStore, *, now: datetime) -> tuple[FeederScore, ...]:
    try:
        return record.feeder_scores(as_of=now)
    except LearningError:
        return ()  # none were published yet, or they are out of bounds: there is no tier to compare with
