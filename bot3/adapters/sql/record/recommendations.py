"""Store recommendations in the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import recommendations
from bot3.adapters.sql.rows import plain, stored_values, to_json, to_us
from bot3.errors import LearningError
from bot3.learning.validity import recommendation
from bot3.trading.recommendations import Recommendation

_NEWEST_FIRST = (recommendations.c.known_at_us.desc(), recommendations.c.seq.desc())


class SqlRecommendations:
    """A `RecommendationRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def publish(self, recommendation: Recommendation) -> int:
        """Publish a recommendation; return the revision. One that differs from the newest only in computed_at changes nothing."""
        row = _recommendation_row(recommendation)
        with self._scope.write() as writing:
            newest = writing.connection.execute(sa.select(recommendations).order_by(*_NEWEST_FIRST).limit(1)).mappings().one_or_none()
            # computed_at differs when the same content is computed again: it is no part of the content.
            if newest is None or any(newest[name] != value for name, value in row.items() if name != "computed_at_us"):
                writing.connection.execute(sa.insert(recommendations).values(**row, revision=writing.revision))
                writing.changed = writing.is_publication = True
            return writing.after

    def as_of(self, at: datetime) -> Recommendation:
        """Return the newest recommendation with known_at <= at. Raises LearningError if there is none, or it is invalid."""
        query = sa.select(recommendations).where(recommendations.c.known_at_us <= to_us(at)).order_by(*_NEWEST_FIRST).limit(1)
        with self._scope.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise LearningError(f"nothing was recommended by {at.isoformat()}: run `bot3 learn run`")
        return recommendation_of_row(row)


def _recommendation_row(recommendation: Recommendation) -> dict[str, Any]:
    low, high = recommendation.suggested_leverage_range
    return {
        "version": recommendation.version,
        "regime": recommendation.regime.value,
        "tiers": to_json({feeder: tier.value for feeder, tier in recommendation.tiers.items()}),
        "top_feeders": to_json([int(number) for number in recommendation.top_feeders]),
        "avoid_feeders": to_json([int(number) for number in recommendation.avoid_feeders]),
        "open_feeders": to_json(list(recommendation.open_feeders)),
        "top_tier": recommendation.top_tier.value,
        "open_bins": to_json(list(recommendation.open_bins)),
        "leverage_low": plain(low),
        "leverage_high": plain(high),
        "suggested_position_size_multiplier": plain(recommendation.suggested_position_size_multiplier),
        "parameters_version": recommendation.parameters_version,
        "scores_version": recommendation.scores_version,
        "generated_at_us": to_us(recommendation.generated_at),
        "expires_at_us": to_us(recommendation.expires_at),
        "known_at_us": to_us(recommendation.known_at),
        "computed_at_us": to_us(recommendation.computed_at),
    }


def recommendation_of_row(row: Any) -> Recommendation:
    """Parse a stored recommendation. Raises InvalidLearningError for a value out of bounds."""
    values = stored_values(row)
    return recommendation(values | {"suggested_leverage_low": values["leverage_low"], "suggested_leverage_high": values["leverage_high"]})
