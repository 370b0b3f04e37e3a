"""Store regime states and recommendations in the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.base import SqlRecordBase
from bot3.adapters.sql.record.tables import feeder_publications, parameter_publications, recommendations, record_meta, regime_states
from bot3.adapters.sql.rows import bulk_insert, maybe_at, plain, read_frame, stored_values, to_json, to_us
from bot3.errors import LearningError
from bot3.learning.validity import recommendation, regime_state
from bot3.market.regimes import Regime, RegimeState
from bot3.trading.recommendations import Recommendation

_STATES = regime_states.c
_PROBABILITIES = tuple(f"p_{regime.value}" for regime in Regime)
_COLUMNS = ("known_at_us", "regime", "since_us", *_PROBABILITIES, "computed_at_us", "version", "revision")
_PUBLICATIONS = (parameter_publications, feeder_publications, regime_states, recommendations)
_NEWEST_FIRST = (recommendations.c.known_at_us.desc(), recommendations.c.seq.desc())


class SqlRegimeRecord(SqlRecordBase):
    """Publishes regime states and returns the one in force at a time."""

    def publish_regimes(self, states: Sequence[RegimeState]) -> int:
        """Publish regime states (a state with an existing known_at is skipped); return the revision."""
        with self._writing() as writing:
            rows = [_state_row(state, revision=writing.revision) for state in states]
            inserted = bulk_insert(writing.connection, regime_states, rows, columns=_COLUMNS, replaces=False)
            writing.changed = writing.is_publication = inserted > 0
            return writing.after

    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the regime state in force. Raises LearningError if none was known by then."""
        query = sa.select(regime_states).where(_STATES.known_at_us <= to_us(as_of)).order_by(_STATES.known_at_us.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise LearningError(f"no regime was known by {as_of.isoformat()}: run `bot3 learn run`")
        return state_of_row(row)

    def regimes_frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return states with start <= known_at < end: known_at, regime, since, p_* of each regime, version."""
        columns = [_STATES[name] for name in (*_COLUMNS[: 3 + len(_PROBABILITIES)], "version")]
        span = (_STATES.known_at_us >= to_us(start), _STATES.known_at_us < to_us(end))
        with self._database.read() as connection:
            return read_frame(connection, sa.select(*columns).where(*span).order_by(_STATES.known_at_us))


class SqlRecommendationRecord(SqlRecordBase):
    """Publishes recommendations and returns the one in force at a time."""

    def publish_recommendation(self, recommendation: Recommendation) -> int:
        """Publish a recommendation; return the revision. A publication identical to the one in force changes nothing."""
        row = _recommendation_row(recommendation)
        with self._writing() as writing:
            newest = writing.connection.execute(sa.select(recommendations).order_by(*_NEWEST_FIRST).limit(1)).mappings().one_or_none()
            # computed_at is the time at which the same content was computed again, and no part of the content.
            if newest is None or any(newest[name] != value for name, value in row.items() if name != "computed_at_us"):
                writing.connection.execute(sa.insert(recommendations).values(**row, revision=writing.revision))
                writing.changed = writing.is_publication = True
            return writing.after

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation. Raises LearningError if none was published by then."""
        query = sa.select(recommendations).where(recommendations.c.known_at_us <= to_us(as_of)).order_by(*_NEWEST_FIRST).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise LearningError(f"nothing was recommended by {as_of.isoformat()}: run `bot3 learn run`")
        return recommendation_of_row(row)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return when the first publication known later than a time comes into force; None if there is none."""
        times = [
            sa.select(sa.func.min(table.c.known_at_us).label("at_us")).where(table.c.known_at_us > to_us(after)) for table in _PUBLICATIONS
        ]
        with self._database.read() as connection:
            return maybe_at(connection.execute(sa.select(sa.func.min(sa.union_all(*times).subquery().c.at_us))).scalar_one())

    def learning_token(self) -> str:
        """Return a token that changes with every publication (one row by key; for polling)."""
        with self._database.read() as connection:
            return str(connection.execute(sa.select(record_meta.c.learning_revision)).scalar_one())


def state_of_row(row: Any) -> RegimeState:
    """Parse a stored state. Raises InvalidLearningError for a value out of bounds."""
    return regime_state(stored_values(row))


def _state_row(state: RegimeState, *, revision: int) -> tuple[Any, ...]:
    head = (to_us(state.known_at), state.regime.value, to_us(state.since))
    return (*head, *map(plain, state.probabilities), to_us(state.computed_at), state.version, revision)


def _recommendation_row(recommendation: Recommendation) -> dict[str, Any]:
    low, high = recommendation.suggested_leverage_range
    return {
        "version": recommendation.version,
        "regime": recommendation.regime.value,
        "tiers": to_json({feeder: tier.value for feeder, tier in recommendation.tiers.items()}),
        "top_feeders": to_json([int(number) for number in recommendation.top_feeders]),
        "avoid_feeders": to_json([int(number) for number in recommendation.avoid_feeders]),
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
