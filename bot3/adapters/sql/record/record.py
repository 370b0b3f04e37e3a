"""The platform's record in SQL: one repository for each kind of data, over one database and its transactions."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Self

import sqlalchemy as sa

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.feeder_scores import SqlFeederScores
from bot3.adapters.sql.record.gates import SqlGates
from bot3.adapters.sql.record.models import SqlModels
from bot3.adapters.sql.record.outbox import SqlOutbox
from bot3.adapters.sql.record.parameters import SqlParameters
from bot3.adapters.sql.record.recommendations import SqlRecommendations
from bot3.adapters.sql.record.regimes import SqlRegimes
from bot3.adapters.sql.record.replays import SqlReplays
from bot3.adapters.sql.record.scope import RecordScope, origin_of
from bot3.adapters.sql.record.shadow_trades import SqlShadowTrades
from bot3.adapters.sql.record.tables import feeder_publications, parameter_publications, recommendations, record_meta, regime_states
from bot3.adapters.sql.record.trades import SqlTrades
from bot3.adapters.sql.rows import insert_ignore, maybe_at, to_us
from bot3.errors import StoreError
from bot3.ports.publisher import Origin
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins

_PUBLICATIONS = (parameter_publications, feeder_publications, regime_states, recommendations)


class SqlRecord:
    """A `PlatformRecord` on SQLite or PostgreSQL."""

    def __init__(self, database: Database, *, bins: LeverageBins, read_only: bool) -> None:
        self._database = database
        self._store_id = _store_id(database, read_only=read_only)
        self._scope = scope = RecordScope(database)
        self.trades = SqlTrades(scope, bins=bins)
        self.replays = SqlReplays(scope)
        self.shadow_trades = SqlShadowTrades(scope)
        self.models = SqlModels(scope)
        self.parameters = SqlParameters(scope)
        self.gates = SqlGates(scope)
        self.feeder_scores = SqlFeederScores(scope)
        self.regimes = SqlRegimes(scope)
        self.recommendations = SqlRecommendations(scope)
        self.outbox = SqlOutbox(scope)

    @classmethod
    def open(cls, url: str, *, bins: LeverageBins = DEFAULT_BINS, read_only: bool = False, busy_timeout_s: float = 5.0) -> Self:
        """Open the record, create it if it is missing, and migrate its schema to this release.

        With `read_only` it must exist and have this release's schema. A trade's leverage bin is one of `bins`, computed when the trade is
        written. Raises StoreError if the record cannot be opened.
        """
        database = Database.open(url, kind="platform", read_only=read_only, busy_timeout_s=busy_timeout_s)
        try:
            return cls(database, read_only=read_only, bins=bins)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def store_id(self) -> str:
        """Return the identity of the record."""
        return self._store_id

    def origin(self) -> Origin:
        """Return the identity of the record and its epoch."""
        with self._scope.read() as connection:
            return origin_of(connection)

    def begin_epoch(self) -> None:
        """Store a new epoch, after a restore: publications of earlier epochs no longer count as this record's, since it may lack them."""
        with self._scope.write_unversioned() as connection:
            connection.execute(sa.update(record_meta).values(epoch=str(uuid.uuid4())))

    def revision(self) -> int:
        """Return the record's revision; 0 before the first write."""
        with self._scope.read() as connection:
            return int(connection.execute(sa.select(record_meta.c.revision)).scalar_one())

    def change_token(self) -> str:
        """Return a token that differs after every write that changes the record, by this process or another.

        On SQLite every write to the file changes it (`PRAGMA data_version`); on PostgreSQL it is the revision, which every write that
        changes data increments.
        """
        return self._database.data_version() if self._database.is_sqlite else str(self.revision())

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest time after a given one at which a publication comes into force; None if none will."""
        times = [
            sa.select(sa.func.min(table.c.known_at_us).label("at_us")).where(table.c.known_at_us > to_us(after)) for table in _PUBLICATIONS
        ]
        with self._scope.read() as connection:
            return maybe_at(connection.execute(sa.select(sa.func.min(sa.union_all(*times).subquery().c.at_us))).scalar_one())

    def learning_token(self) -> str:
        """Return a token that changes with every publication: the revision of the newest one."""
        with self._scope.read() as connection:
            return str(connection.execute(sa.select(record_meta.c.learning_revision)).scalar_one())


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
