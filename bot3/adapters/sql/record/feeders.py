"""Store feeder scores and the model registry in the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.base import SqlRecordBase
from bot3.adapters.sql.record.tables import feeder_publications, feeder_scores, model_registry
from bot3.adapters.sql.rows import bulk_insert, from_us, insert_ignore, plain, read_frame, stored_name, stored_values, to_us
from bot3.errors import LearningError, StoreError
from bot3.learning.validity import feeder_score
from bot3.ports.record import ModelEntry
from bot3.trading.recommendations import FeederScore

_SCORE_FIELDS = tuple(field.name for field in fields(FeederScore))
_ENTRY_INSTANTS = frozenset({"known_at", "trained_from", "trained_until", "computed_at"})
_PUBLISHED = feeder_publications.c
_NEWEST_FIRST = (_PUBLISHED.known_at_us.desc(), _PUBLISHED.seq.desc())


class SqlFeederRecord(SqlRecordBase):
    """Publishes feeder scores and returns those in force at a time."""

    def publish_feeder_scores(self, scores: Sequence[FeederScore]) -> int:
        """Publish all scores of one version; return the revision. The version in force with identical rows changes nothing."""
        versions = {score.version for score in scores}
        if len(versions) != 1:
            raise StoreError(f"a publication must contain the scores of one version, this one has {sorted(versions) or 'none'}")
        row = {"version": versions.pop(), "known_at_us": max(to_us(score.known_at) for score in scores)}
        with self._writing() as writing:
            newest = writing.connection.execute(sa.select(feeder_publications).order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
            columns = tuple(stored_name(name, {"known_at"}) for name in _SCORE_FIELDS)
            values = [tuple(plain(getattr(score, name)) for name in _SCORE_FIELDS) for score in scores]
            if newest is not None and (newest.version, newest.known_at_us) == (row["version"], row["known_at_us"]):
                # Readers refuse rows that were changed since: such a version is published again.
                held = writing.connection.execute(sa.select(*(_SCORES.c[name] for name in columns)).where(_SCORES.c.seq == newest.seq))
                if {tuple(found) for found in held} == set(values):
                    return writing.after
            insert = sa.insert(feeder_publications).values(**row, revision=writing.revision).returning(_PUBLISHED.seq)
            seq = writing.connection.execute(insert).scalar_one()
            rows = [(seq, *found) for found in values]
            bulk_insert(writing.connection, feeder_scores, rows, columns=("seq", *columns), replaces=True)
            writing.changed = writing.is_publication = True
            return writing.after

    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        """Return the newest publication's scores by regime and rank. Raises LearningError if none was known by then or one is invalid."""
        newest = sa.select(_PUBLISHED.seq).where(_PUBLISHED.known_at_us <= to_us(as_of)).order_by(*_NEWEST_FIRST).limit(1)
        table = _SCORES.c
        query = sa.select(_SCORES).where(table.seq == newest.scalar_subquery()).order_by(table.regime, table.rank, table.feeder_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise LearningError(f"no feeder scores were published by {as_of.isoformat()}: run `bot3 learn run`")
        return tuple(score_of_row(row) for row in rows)


class SqlModelRegistry(SqlRecordBase):
    """A `ModelRegistry` in the record."""

    def register_model(self, entry: ModelEntry) -> None:
        """Insert an entry; a repeated digest and feeder creates no second row."""
        row = {stored_name(field.name, _ENTRY_INSTANTS): plain(getattr(entry, field.name)) for field in fields(entry)}
        with self._writing() as writing:
            inserted = insert_ignore(writing.connection, model_registry, [row | {"revision": writing.revision}])
            writing.changed = inserted > 0

    def model(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the newest model known by a time. Raises LearningError if there is none."""
        table = model_registry.c
        known = (table.feeder_id == feeder_id, table.known_at_us <= to_us(as_of))
        query = sa.select(model_registry).where(*known).order_by(table.known_at_us.desc(), table.revision.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise LearningError(f"no model of {feeder_id} was known by {as_of.isoformat()}: run `bot3 init` or materialize its partition")
        values: dict[str, Any] = {
            name.removesuffix("_us"): from_us(value) if name.endswith("_us") else value for name, value in row.items()
        }
        del values["revision"]
        return ModelEntry(**values)

    def models_frame(self) -> pd.DataFrame:
        """Return all entries, newest first; columns are `ModelEntry`'s fields."""
        columns = [column for column in model_registry.columns if column.name != "revision"]
        query = sa.select(*columns).order_by(model_registry.c.known_at_us.desc(), model_registry.c.feeder_id)
        with self._database.read() as connection:
            return read_frame(connection, query)


# The port's method has the table's name.
_SCORES = feeder_scores


def score_of_row(row: Any) -> FeederScore:
    """Parse a stored score. Raises InvalidLearningError for a value out of bounds."""
    return feeder_score(stored_values(row))
