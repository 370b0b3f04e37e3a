"""Store published parameters in the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.record.gates import insert_ledger
from bot3.adapters.sql.record.scope import RecordScope, Writing
from bot3.adapters.sql.record.tables import parameter_publications, parameter_rows, regime_factors
from bot3.adapters.sql.rows import bulk_insert, maybe_us, plain, read_frame, stored_name, stored_values, to_us
from bot3.errors import LearningError, StoreConflictError
from bot3.learning.promotion.permissions import GateLedger
from bot3.learning.replay.groups import group_of_key
from bot3.learning.validity import parameter_set
from bot3.ports.learning import Window
from bot3.trading.parameters import ExitParameters, ParameterSet

_FIELDS = tuple(field.name for field in fields(ExitParameters))
_PUBLISHED = parameter_publications.c
_NEWEST_FIRST = (_PUBLISHED.known_at_us.desc(), _PUBLISHED.seq.desc())


class SqlParameters:
    """A `ParameterRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def publish(
        self,
        parameters: ParameterSet,
        *,
        replaces: str | None,
        is_full: bool,
        ledger: GateLedger | None = None,
        windows: Mapping[str, Window] | None = None,
    ) -> int:
        """Publish rows (all if is_full, else changed ones only) and a daily review's result in one transaction; return the revision.

        A publication identical to the newest one changes nothing. Raises StoreConflictError if the newest version is not `replaces`.
        """
        with self._scope.write() as writing:
            newest = writing.connection.execute(sa.select(parameter_publications).order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
            if newest is not None and _is_same(newest, parameters):
                return writing.after
            in_force = None if newest is None else newest.version
            if in_force != replaces:
                raise StoreConflictError(f"parameters {in_force} are in force, not {replaces}: read them again, then publish")
            seq = _insert_publication(writing, parameters, replaces=replaces, is_full=is_full)
            _insert_rows(writing.connection, seq, parameters, windows=windows or {})
            if ledger is not None:
                insert_ledger(writing, ledger, seq=seq, known_at=parameters.known_at)
            return writing.after

    def as_of(self, at: datetime) -> ParameterSet:
        """Return the parameters in force: the newest row of each group, from the last full publication on.

        Raises
        ------
        LearningError
            If no parameters were published by then.
        InvalidLearningError
            If a row in force is out of bounds (`learning.validity`).
        """
        known = _PUBLISHED.known_at_us <= to_us(at)
        with self._scope.read() as connection:
            newest = connection.execute(sa.select(parameter_publications).where(known).order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
            if newest is None:
                raise LearningError(f"no parameters were published by {at.isoformat()}: run `bot3 learn run`")
            rows = _rows(connection, known)
            factors = connection.execute(sa.select(regime_factors).where(regime_factors.c.seq == newest.seq)).all()
        return parameters_of(newest, rows=rows, factors=factors)

    def history(self, *, key: str) -> pd.DataFrame:
        """Return all published rows of one "pair|direction|bin", oldest first.

        Columns are `ExitParameters`' fields, computed_at, and first_entry and last_entry, the open dates of the first and last trade used
        (NaT if none was).
        """
        pair, direction, leverage_bin = group_of_key(key)
        table = parameter_rows.c
        columns = [column for column in parameter_rows.columns if column.name != "seq"]
        query = (
            sa.select(*columns, _PUBLISHED.computed_at_us)
            .join_from(parameter_rows, parameter_publications)
            .where(table.pair == pair, table.direction == direction, table.leverage_bin == leverage_bin)
            .order_by(_PUBLISHED.known_at_us, _PUBLISHED.seq)
        )
        with self._scope.read() as connection:
            return read_frame(connection, query)


def _is_same(row: Any, parameters: ParameterSet) -> bool:
    # A version is a digest of the content: the same version with later times renews the parameters and is published.
    instants = (to_us(parameters.known_at), to_us(parameters.expires_at))
    return bool(row.version == parameters.version and (row.known_at_us, row.expires_at_us) == instants)


def _insert_publication(writing: Writing, parameters: ParameterSet, *, replaces: str | None, is_full: bool) -> int:
    row = {
        "version": parameters.version,
        "replaces": replaces,
        "is_full": is_full,
        "learned_revision": parameters.revision,
        "known_at_us": to_us(parameters.known_at),
        "computed_at_us": to_us(parameters.computed_at),
        "expires_at_us": to_us(parameters.expires_at),
        "revision": writing.revision,
    }
    writing.changed = writing.is_publication = True
    return int(writing.connection.execute(sa.insert(parameter_publications).values(**row).returning(_PUBLISHED.seq)).scalar_one())


def _insert_rows(connection: Connection, seq: int, parameters: ParameterSet, *, windows: Mapping[str, Window]) -> None:
    columns = ("seq", *(stored_name(name, {"known_at"}) for name in _FIELDS), "first_entry_us", "last_entry_us")
    rows = [
        (seq, *(plain(getattr(parameter, name)) for name in _FIELDS), *map(maybe_us, windows.get(key, (None, None))))
        for key, parameter in parameters.rows.items()
    ]
    bulk_insert(connection, parameter_rows, rows, columns=columns, replaces=True)
    factors = [(seq, regime.value, plain(stop), plain(target)) for regime, (stop, target) in parameters.regime_factors.items()]
    bulk_insert(connection, regime_factors, factors, columns=("seq", "regime", "stop_factor", "take_profit_factor"), replaces=True)


def _rows(connection: Connection, known: sa.ColumnElement[bool]) -> list[Any]:
    """Return the rows in force, oldest first."""
    full = connection.execute(
        sa.select(_PUBLISHED.known_at_us, _PUBLISHED.seq).where(known, _PUBLISHED.is_full).order_by(*_NEWEST_FIRST).limit(1)
    ).one_or_none()
    since = sa.true() if full is None else sa.tuple_(_PUBLISHED.known_at_us, _PUBLISHED.seq) >= sa.tuple_(full.known_at_us, full.seq)
    query = (
        sa.select(parameter_rows)
        .join_from(parameter_rows, parameter_publications)
        .where(known, since)
        .order_by(_PUBLISHED.known_at_us, _PUBLISHED.seq)
    )
    return list(connection.execute(query))


def parameters_of(publication: Any, *, rows: Iterable[Any], factors: Iterable[Any]) -> ParameterSet:
    """Parse a stored publication; a later row of a group replaces an earlier one. Raises InvalidLearningError for a value out of bounds."""
    values = stored_values(publication)
    return parameter_set(
        rows=map(stored_values, rows),
        factors=[(row.regime, row.stop_factor, row.take_profit_factor) for row in factors],
        publication=values | {"revision": values["learned_revision"]},
    )
