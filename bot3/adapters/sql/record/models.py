"""Store the list of feeders' models in the record."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import model_registry
from bot3.adapters.sql.rows import from_us, insert_ignore, plain, read_frame, stored_name, to_us
from bot3.errors import LearningError
from bot3.ports.record import ModelEntry

_INSTANTS = frozenset({"known_at", "trained_from", "trained_until", "computed_at"})


class SqlModels:
    """A `ModelRegistry` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def register(self, entry: ModelEntry) -> None:
        """Insert an entry; if one of the same digest and feeder is stored already, nothing changes."""
        row = {stored_name(field.name, _INSTANTS): plain(getattr(entry, field.name)) for field in fields(entry)}
        with self._scope.write() as writing:
            inserted = insert_ignore(writing.connection, model_registry, [row | {"revision": writing.revision}])
            writing.changed = inserted > 0

    def newest(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the model with the latest known_at that is not after a time. Raises LearningError if there is none."""
        table = model_registry.c
        known = (table.feeder_id == feeder_id, table.known_at_us <= to_us(as_of))
        query = sa.select(model_registry).where(*known).order_by(table.known_at_us.desc(), table.revision.desc()).limit(1)
        with self._scope.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise LearningError(f"no model of {feeder_id} was known by {as_of.isoformat()}: run `bot3 init` or materialize its partition")
        values: dict[str, Any] = {
            name.removesuffix("_us"): from_us(value) if name.endswith("_us") else value for name, value in row.items()
        }
        del values["revision"]
        return ModelEntry(**values)

    def frame(self) -> pd.DataFrame:
        """Return all entries, those with the latest known_at first; columns are `ModelEntry`'s fields."""
        columns = [column for column in model_registry.columns if column.name != "revision"]
        query = sa.select(*columns).order_by(model_registry.c.known_at_us.desc(), model_registry.c.feeder_id)
        with self._scope.read() as connection:
            return read_frame(connection, query)
