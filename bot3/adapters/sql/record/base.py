"""Common base of the record's parts: the database, the revision, and the order of writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.tables import record_meta
from bot3.adapters.sql.rows import insert_ignore
from bot3.errors import StoreError
from bot3.ports.publisher import Origin
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.trades import RunMode


@dataclass(slots=True)
class Writing:
    """One write to the record. `revision` is written to its rows; the record adopts it only if the writer sets `changed`."""

    connection: Connection
    before: int
    changed: bool = False
    is_publication: bool = False

    @property
    def revision(self) -> int:
        """Return the revision that is written to changed rows."""
        return self.before + 1

    @property
    def after(self) -> int:
        """Return the record's revision after this write is committed."""
        return self.revision if self.changed else self.before


class SqlRecordBase:
    """The open database of the record, with its identity."""

    def __init__(self, database: Database, *, read_only: bool, bins: LeverageBins) -> None:
        self._database, self._bins = database, bins
        self._store_id = _store_id(database, read_only=read_only)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def store_id(self) -> str:
        """Return the identity of the record."""
        return self._store_id

    def origin(self) -> Origin:
        """Return the identity of the record and its epoch."""
        with self._database.read() as connection:
            return origin_of(connection)

    def begin_epoch(self) -> None:
        """Begin a new epoch: earlier publications no longer belong to this record, because they may belong to a lost future."""
        with self._database.write() as connection:
            connection.execute(sa.update(record_meta).values(epoch=str(uuid.uuid4())))

    def revision(self) -> int:
        """Return the record's revision; 0 before the first write."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(record_meta.c.revision)).scalar_one())

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection.

        On SQLite every writer changes it (`PRAGMA data_version`); on PostgreSQL it is the revision, which every write with a change
        increments.
        """
        return self._database.data_version() if self._database.is_sqlite else str(self.revision())

    @contextmanager
    def _writing(self) -> Iterator[Writing]:
        """Yield a write that reads the newest revision and excludes other writers; a write without changes does not raise the revision."""
        with self._database.write() as connection:
            # SQLite holds the write lock already; on PostgreSQL this row lock serializes the writers.
            before = int(connection.execute(sa.select(record_meta.c.revision).with_for_update()).scalar_one())
            writing = Writing(connection, before)
            yield writing
            if writing.changed:
                values: dict[str, Any] = {"revision": record_meta.c.revision + 1}
                if writing.is_publication:
                    values["learning_revision"] = record_meta.c.revision + 1
                connection.execute(sa.update(record_meta).values(**values))


def origin_of(connection: Connection) -> Origin:
    """Return the identity of a record and its epoch."""
    store_id, epoch = connection.execute(sa.select(record_meta.c.store_id, record_meta.c.epoch)).one()
    return Origin(store_id=store_id, epoch=epoch)


def in_modes(column: sa.ColumnElement[str], run_modes: Sequence[RunMode]) -> sa.ColumnElement[bool]:
    """Return the condition that a run mode is one of the given ones."""
    return column.in_([RunMode(mode).value for mode in run_modes])


def in_groups(table: sa.Table, groups: Sequence[tuple[str, str, str]] | None) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to one of the groups (pair, direction, leverage_bin); None selects all rows."""
    if groups is None:
        return sa.true()
    return sa.or_(
        sa.false(),
        *(
            sa.and_(table.c.pair == pair, table.c.direction == direction, table.c.leverage_bin == leverage_bin)
            for pair, direction, leverage_bin in groups
        ),
    )


def _store_id(database: Database, *, read_only: bool) -> str:
    query = sa.select(record_meta.c.store_id)
    with database.read() as connection:
        found = connection.execute(query).scalar_one_or_none()
    if found is None and not read_only:
        row = {"id": 1, "store_id": str(uuid.uuid4()), "revision": 0, "learning_revision": 0, "epoch": str(uuid.uuid4())}
        with database.write() as connection:
            insert_ignore(connection, record_meta, [row])
            found = connection.execute(query).scalar_one()
    if found is None:
        raise StoreError(f"{database.shown} contains no identity: run `bot3 init`")
    return str(found)
