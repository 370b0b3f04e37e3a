"""Compute the recommendation from the published parameters, feeder scores and regime, and publish it."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot3.learning.feeders.recommendations import recommend as recommendation_from
from bot3.learning.validity import require_readable
from bot3.ports.learning import LearningStore
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.recommendations import Recommendation


def recommend(record: LearningStore, *, bins: LeverageBins, now: datetime, computed_at: datetime, life: timedelta) -> Recommendation:
    """Publish and return the recommendation, computed from what is published at the market time `now`; it expires `life` later.

    Raises
    ------
    LearningError
        If parameters, scores or the regime are missing or out of bounds, the parameters have expired, or the result is out of bounds.
    """
    parameters = record.parameters.as_of(now)
    parameters.require_fresh(now=now)
    made = recommendation_from(
        regime=record.regimes.as_of(now),
        scores=record.feeder_scores.as_of(now),
        parameters=parameters,
        bins=bins,
        now=now,
        computed_at=computed_at,
        life=life,
    )
    require_readable(made)
    record.recommendations.publish(made)
    return made
