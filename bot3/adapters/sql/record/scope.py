"""Transactions of the record, which its repositories share: the database, the revision, and the order of writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.tables import record_meta
from bot3.ports.publisher import Origin


@dataclass(slots=True)
class Writing:
    """One write to the record, whose revision was `before`.

    The record's revision increases only if the writer sets `changed`; with `is_publication` the token of published learning changes too.
    """

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


@dataclass(frozen=True, slots=True)
class RecordScope:
    """The open database that the repositories of one record share, and the transactions in which they read and write."""

    database: Database

    def read(self) -> AbstractContextManager[Connection]:
        """Return a transaction that reads one snapshot of the record."""
        return self.database.read()

    def write_unversioned(self) -> AbstractContextManager[Connection]:
        """Return a transaction that does not change the revision: for the record's identity and its outbox."""
        return self.database.write()

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """Yield a write that reads the current revision and excludes other writers; the revision increases if the write sets `changed`."""
        with self.database.write() as connection:
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
