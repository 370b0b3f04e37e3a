"""Store regime states in the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import regime_states
from bot3.adapters.sql.rows import bulk_insert, plain, read_frame, stored_values, to_us
from bot3.errors import LearningError
from bot3.learning.validity import regime_state
from bot3.market.regimes import Regime, RegimeState

_STATES = regime_states.c
_PROBABILITIES = tuple(f"p_{regime.value}" for regime in Regime)
_COLUMNS = ("known_at_us", "regime", "since_us", *_PROBABILITIES, "computed_at_us", "version", "revision")


class SqlRegimes:
    """A `RegimeRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def publish(self, states: Sequence[RegimeState]) -> int:
        """Publish regime states (a state with an existing known_at is skipped); return the revision."""
        with self._scope.write() as writing:
            rows = [_state_row(state, revision=writing.revision) for state in states]
            inserted = bulk_insert(writing.connection, regime_states, rows, columns=_COLUMNS, replaces=False)
            writing.changed = writing.is_publication = inserted > 0
            return writing.after

    def as_of(self, at: datetime) -> RegimeState:
        """Return the newest regime state with known_at <= at. Raises LearningError if there is none, or it is invalid."""
        query = sa.select(regime_states).where(_STATES.known_at_us <= to_us(at)).order_by(_STATES.known_at_us.desc()).limit(1)
        with self._scope.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise LearningError(f"no regime was known by {at.isoformat()}: run `bot3 learn run`")
        return state_of_row(row)

    def frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return states with start <= known_at < end, sorted: known_at, regime, since, p_* of each regime, version."""
        columns = [_STATES[name] for name in (*_COLUMNS[: 3 + len(_PROBABILITIES)], "version")]
        span = (_STATES.known_at_us >= to_us(start), _STATES.known_at_us < to_us(end))
        with self._scope.read() as connection:
            return read_frame(connection, sa.select(*columns).where(*span).order_by(_STATES.known_at_us))


def state_of_row(row: Any) -> RegimeState:
    """Parse a stored state. Raises InvalidLearningError for a value out of bounds."""
    return regime_state(stored_values(row))


def _state_row(state: RegimeState, *, revision: int) -> tuple[Any, ...]:
    head = (to_us(state.known_at), state.regime.value, to_us(state.since))
    return (*head, *map(plain, state.probabilities), to_us(state.computed_at), state.version, revision)
