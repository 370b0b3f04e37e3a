"""Regime states and recommendations in the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql_record_base import SqlRecordBase
from bot3.adapters.sql_rows import bulk_insert, from_us, plain, read_frame, to_json, to_us
from bot3.adapters.sql_tables_platform import recommendations, record_meta, regime_states
from bot3.errors import LearningError
from bot3.market.regimes import Regime, RegimeState
from bot3.trading.leverage_bins import bins_of_range
from bot3.trading.recommendations import FeederTier, Recommendation

_STATES = regime_states.c
_PROBABILITIES = tuple(f"p_{regime.value}" for regime in Regime)
_COLUMNS = ("known_at_us", "regime", "since_us", *_PROBABILITIES, "computed_at_us", "version", "revision")
_NEWEST_FIRST = (recommendations.c.known_at_us.desc(), recommendations.c.seq.desc())


class SqlRegimeRecord(SqlRecordBase):
    """Publishes regime states, and says which was in force."""

    def publish_regimes(self, states: Sequence[RegimeState]) -> int:
        """Publish regime states (a state whose known_at is there already is left as it is); return the revision."""
        with self._writing() as writing:
            rows = [_state_row(state, revision=writing.revision) for state in states]
            inserted = bulk_insert(writing.connection, regime_states, rows, columns=_COLUMNS, replaces=False)
            writing.changed = writing.is_publication = inserted > 0
            return writing.after

    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the regime state in force. Raises LearningError if none was known by then."""
        query = sa.select(regime_states).where(_STATES.known_at_us <= to_us(as_of)).order_by(_STATES.known_at_us.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
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
    """Publishes recommendations, and says which was in force."""

    def publish_recommendation(self, recommendation: Recommendation) -> int:
        """Publish; return the revision. The publication in force already changes nothing."""
        row = _recommendation_row(recommendation)
        with self._writing() as writing:
            newest = writing.connection.execute(sa.select(recommendations).order_by(*_NEWEST_FIRST).limit(1)).mappings().one_or_none()
            # computed_at is when the same content was computed again, not what was said.
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

    def learning_token(self) -> str:
        """Return a token that differs after every publication (one row by key; for polling)."""
        with self._database.read() as connection:
            return str(connection.execute(sa.select(record_meta.c.learning_revision)).scalar_one())


def state_of_row(row: Any) -> RegimeState:
    """Return a stored state; `row` is a mapping."""
    bull, bear, sideways, volatile = (row[name] for name in _PROBABILITIES)
    return RegimeState(
        regime=Regime(row["regime"]),
        probabilities=(bull, bear, sideways, volatile),
        since=from_us(row["since_us"]),
        known_at=from_us(row["known_at_us"]),
        computed_at=from_us(row["computed_at_us"]),
        version=row["version"],
    )


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
    """Return a stored recommendation."""
    return Recommendation(
        regime=Regime(row.regime),
        tiers={feeder: FeederTier(tier) for feeder, tier in json.loads(row.tiers).items()},
        top_feeders=tuple(json.loads(row.top_feeders)),
        avoid_feeders=tuple(json.loads(row.avoid_feeders)),
        open_bins=bins_of_range(row.leverage_low, row.leverage_high) if row.open_bins is None else tuple(json.loads(row.open_bins)),
        suggested_leverage_range=(row.leverage_low, row.leverage_high),
        suggested_position_size_multiplier=row.suggested_position_size_multiplier,
        generated_at=from_us(row.generated_at_us),
        expires_at=from_us(row.expires_at_us),
        version=row.version,
        parameters_version=row.parameters_version,
        scores_version=row.scores_version,
        known_at=from_us(row.known_at_us),
        computed_at=from_us(row.computed_at_us),
    )
