"""Store feeder scores in the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import feeder_publications, feeder_scores
from bot3.adapters.sql.rows import bulk_insert, plain, stored_name, stored_values, to_us
from bot3.errors import LearningError, StoreError
from bot3.learning.validity import feeder_score
from bot3.trading.recommendations import FeederScore

_SCORE_FIELDS = tuple(field.name for field in fields(FeederScore))
_PUBLISHED = feeder_publications.c
_NEWEST_FIRST = (_PUBLISHED.known_at_us.desc(), _PUBLISHED.seq.desc())


class SqlFeederScores:
    """A `ScoreRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def publish(self, scores: Sequence[FeederScore]) -> int:
        """Publish all scores of one version; return the revision. A publication identical to the newest one changes nothing.

        Raises StoreError if the scores are not of one version.
        """
        versions = {score.version for score in scores}
        if len(versions) != 1:
            raise StoreError(f"a publication must contain the scores of one version, this one has {sorted(versions) or 'none'}")
        row = {"version": versions.pop(), "known_at_us": max(to_us(score.known_at) for score in scores)}
        with self._scope.write() as writing:
            newest = writing.connection.execute(sa.select(feeder_publications).order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
            columns = tuple(stored_name(name, {"known_at"}) for name in _SCORE_FIELDS)
            values = [tuple(plain(getattr(score, name)) for name in _SCORE_FIELDS) for score in scores]
            if newest is not None and (newest.version, newest.known_at_us) == (row["version"], row["known_at_us"]):
                # If the stored rows differ, another program changed them: the version is published again.
                held = writing.connection.execute(
                    sa.select(*(feeder_scores.c[name] for name in columns)).where(feeder_scores.c.seq == newest.seq)
                )
                if {tuple(found) for found in held} == set(values):
                    return writing.after
            insert = sa.insert(feeder_publications).values(**row, revision=writing.revision).returning(_PUBLISHED.seq)
            seq = writing.connection.execute(insert).scalar_one()
            rows = [(seq, *found) for found in values]
            bulk_insert(writing.connection, feeder_scores, rows, columns=("seq", *columns), replaces=True)
            writing.changed = writing.is_publication = True
            return writing.after

    def as_of(self, at: datetime) -> tuple[FeederScore, ...]:
        """Return the scores of the newest publication with known_at <= at, sorted by regime and rank.

        Raises LearningError if there is none, or one of its scores is invalid.
        """
        newest = sa.select(_PUBLISHED.seq).where(_PUBLISHED.known_at_us <= to_us(at)).order_by(*_NEWEST_FIRST).limit(1)
        table = feeder_scores.c
        query = sa.select(feeder_scores).where(table.seq == newest.scalar_subquery()).order_by(table.regime, table.rank, table.feeder_id)
        with self._scope.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise LearningError(f"no feeder scores were published by {at.isoformat()}: run `bot3 learn run`")
        return tuple(score_of_row(row) for row in rows)


def score_of_row(row: Any) -> FeederScore:
    """Parse a stored score. Raises InvalidLearningError for a value out of bounds."""
    return feeder_score(stored_values(row))
