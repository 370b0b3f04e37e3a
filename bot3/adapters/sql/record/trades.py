"""Store the closed trades of all bots in the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.adapters.sql.columns import columns_frame, read_columns
from bot3.adapters.sql.record.conditions import in_groups, in_modes
from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import record_meta, synced_trades
from bot3.adapters.sql.record.trade_digests import row_digests
from bot3.adapters.sql.record.trade_horizons import with_horizons
from bot3.adapters.sql.rows import bulk_insert, from_us, read_frame, to_us
from bot3.ports.record import SyncOutcome
from bot3.ports.trade_columns import COLUMNS, TradeColumns
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import OrderPattern, RunMode, Trade, direction

_OWN = COLUMNS
_REST = ("direction", "leverage_bin", "feeder_id", "known_at_us", "revision", "digest", "deleted")
_FRAME = tuple(synced_trades.c[name] for name in (*_OWN, "direction", "leverage_bin", "feeder_id", "known_at_us", "revision"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """Changes to the trades of one bot and run mode.

    `keys` is the number of given keys, `inserted` how many of them the record lacks, and `fresh` the positions of the rows to write.
    """

    keys: int
    inserted: int
    fresh: NDArray[np.int64]


class SqlTrades:
    """A `TradeRepository` in SQL."""

    def __init__(self, scope: RecordScope, *, bins: LeverageBins) -> None:
        self._scope, self._bins = scope, bins
        # Cached counts of one revision: a change of the counted rows always increments the revision.
        self._counted: tuple[int, pd.DataFrame] | None = None

    def upsert(self, trades: Sequence[Trade]) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; the revision of unchanged rows does not change.

        Raises StoreError, and writes nothing, if a trade is open.
        """
        return self.upsert_columns(TradeColumns.of(trades))

    def upsert_columns(self, columns: TradeColumns) -> SyncOutcome:
        """Insert or update as `upsert`, for trades that are columns already.

        A digest is that of the source's values; a horizon that the source does not state is computed when the row is written.
        """
        digests = row_digests(columns)
        with self._scope.write() as writing:
            found = [_changes(writing.connection, group, columns, digests) for group in _groups(columns)]
            places = np.concatenate([np.empty(0, dtype="int64"), *(one.fresh for one in found)])
            rows = _rows(with_horizons(writing.connection, columns, places), digests, places, bins=self._bins, revision=writing.revision)
            bulk_insert(writing.connection, synced_trades, rows, columns=(*_OWN, *_REST), replaces=True)
            writing.changed = len(places) > 0
            inserted = sum(one.inserted for one in found)
            return SyncOutcome(
                inserted=inserted,
                updated=len(places) - inserted,
                unchanged=sum(one.keys for one in found) - len(places),
                deleted=0,
                revision=writing.after,
            )

    def delete(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        """Mark trades that are missing in their source as deleted; their rows remain."""
        with self._scope.write() as writing:
            deleted = 0
            for trade_id, open_date in keys:
                row = sa.and_(*_of(bot, run_mode), synced_trades.c.trade_id == trade_id, synced_trades.c.open_date_us == to_us(open_date))
                # The digest is cleared, so that a trade that reappears counts as changed even if it is identical.
                gone = sa.update(synced_trades).where(row, ~synced_trades.c.deleted)
                deleted += writing.connection.execute(gone.values(deleted=True, digest="", revision=writing.revision)).rowcount
            writing.changed = deleted > 0
            return SyncOutcome(inserted=0, updated=0, unchanged=len(keys) - deleted, deleted=deleted, revision=writing.after)

    def deletions(self, *, run_modes: Sequence[RunMode], since_revision: int) -> int:
        """Return how many trades were marked as deleted after a revision (exclusive) and have not been stored again since."""
        table = synced_trades.c
        query = sa.select(sa.func.count()).where(table.deleted, table.revision > since_revision, in_modes(table.run_mode, run_modes))
        with self._scope.read() as connection:
            return int(connection.execute(query).scalar_one())

    def keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        """Return the keys (trade_id, open_date) of a bot's trades that are not deleted and closed at or after a time (None: at any)."""
        table = synced_trades.c
        wanted = _of(bot, run_mode)
        if closed_since is not None:
            # A trade is known at its close, and known_at has an index; SQLite would prefer the key's index and scan all trades of the bot.
            # Computed expressions (coalesce) prevent that.
            ours = sa.and_(sa.func.coalesce(table.bot, "") == bot, sa.func.coalesce(table.run_mode, "") == run_mode.value)
            wanted = (table.known_at_us >= to_us(closed_since), ours)
        query = sa.select(table.trade_id, table.open_date_us).where(*wanted, ~table.deleted)
        with self._scope.read() as connection:
            found = read_columns(connection, query)
        return set(zip(found["trade_id"].tolist(), map(from_us, found["open_date_us"].tolist()), strict=True))

    def frame(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        bots: Sequence[str] | None = None,
        groups: Sequence[tuple[str, str, str]] | None = None,
        since_revision: int | None = None,
    ) -> pd.DataFrame:
        """Return the trade frame with known_at <= as_of, sorted by close date; since_revision is exclusive."""
        table = synced_trades.c
        query = sa.select(*_FRAME).where(in_modes(table.run_mode, run_modes), ~table.deleted, in_groups(synced_trades, groups))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        if bots is not None:
            query = query.where(table.bot.in_(list(bots)))
        if since_revision is not None:
            query = query.where(table.revision > since_revision)
        with self._scope.read() as connection:
            return read_frame(connection, query.order_by(table.close_date_us, table.bot, table.trade_id, table.open_date_us))

    def counts(self) -> pd.DataFrame:
        """Return counts of the trades, one row for each bot and run_mode, with the columns of `TradeRepository.counts`."""
        table = synced_trades.c
        kept = sa.case((table.deleted, None), else_=table.close_date_us)
        query = (
            sa.select(
                table.bot,
                table.run_mode,
                sa.func.count(kept).label("trades"),
                sa.func.min(kept).label("first_close_us"),
                sa.func.max(kept).label("last_close_us"),
                (sa.func.count() - sa.func.count(kept)).label("deleted"),
                _kept(table.order_pattern == OrderPattern.MULTIPLE.value).label("several_orders"),
                _kept(table.order_pattern.is_(None)).label("outdated"),
            )
            .group_by(table.bot, table.run_mode)
            .order_by(table.bot, table.run_mode)
        )
        with self._scope.read() as connection:
            # Read the revision first: counts newer than their revision are counted again, older ones cannot occur.
            revision = int(connection.execute(sa.select(record_meta.c.revision)).scalar_one())
            if self._counted is None or self._counted[0] != revision:
                self._counted = revision, read_frame(connection, query)
            return self._counted[1].copy()

    def digests(self, *, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the trades that are not deleted: bot, run_mode, trade_id, open_date, close_date, digest."""
        table = synced_trades.c
        columns = (table.bot, table.run_mode, table.trade_id, table.open_date_us, table.close_date_us, table.digest)
        with self._scope.read() as connection:
            return columns_frame(read_columns(connection, sa.select(*columns).where(~table.deleted, in_modes(table.run_mode, run_modes))))


def _kept(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """Return an SQL count of the trades that are not deleted and match a condition."""
    return sa.func.count(sa.case((sa.and_(~synced_trades.c.deleted, condition), 1)))


def _of(bot: str, run_mode: RunMode) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return synced_trades.c.bot == bot, synced_trades.c.run_mode == run_mode.value


def _rows(
    columns: TradeColumns, digests: Sequence[str], places: NDArray[np.int64], *, bins: LeverageBins, revision: int
) -> Iterator[tuple[Any, ...]]:
    """Return the rows to write, in the order of `_OWN` and `_REST`; as an iterator, because all rows at once would be many objects."""
    own = {name: _values(columns.arrays[name][places]) for name in _OWN}
    labels = {leverage: bins.label_of(leverage) for leverage in set(own["leverage"])}
    feeders = {tag: feeder_of_enter_tag(tag) for tag in set(own["enter_tag"])}
    directions = {is_short: direction(is_short=is_short) for is_short in (False, True)}
    rest = (
        map(directions.__getitem__, own["is_short"]),
        map(labels.__getitem__, own["leverage"]),
        map(feeders.__getitem__, own["enter_tag"]),
        own["close_date_us"],
        repeat(revision, len(places)),
        map(digests.__getitem__, places.tolist()),
        repeat(False, len(places)),  # noqa: FBT003  # a value of the column
    )
    return zip(*own.values(), *rest, strict=True)


def _values(column: NDArray[Any]) -> list[Any]:
    """Return a column as driver values: None for NaN."""
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        for place in np.flatnonzero(np.isnan(column)).tolist():
            values[place] = None
    return values


def _groups(columns: TradeColumns) -> Iterator[NDArray[np.int64]]:
    """Yield the row positions of each bot and run mode."""
    bots, run_modes = columns.arrays["bot"], columns.arrays["run_mode"]
    for bot, run_mode in sorted(set(zip(bots.tolist(), run_modes.tolist(), strict=True))):
        yield np.flatnonzero((bots == bot) & (run_modes == run_mode))


def _changes(connection: Connection, group: NDArray[np.int64], columns: TradeColumns, digests: Sequence[str]) -> _Changes:
    """Compare the trades of one bot and run mode with the record; of several rows with one key only the last is used."""
    arrays = columns.arrays
    ids, opened = arrays["trade_id"][group], arrays["open_date_us"][group]
    order = np.lexsort((opened, ids))
    is_last = np.append((np.diff(ids[order]) != 0) | (np.diff(opened[order]) != 0), True)
    places = group[np.sort(order[is_last])]
    known = _known_digests(connection, ids, bot=arrays["bot"][group[0]], run_mode=arrays["run_mode"][group[0]])
    if not known:
        return _Changes(keys=len(places), inserted=len(places), fresh=places)
    keys = list(zip(arrays["trade_id"][places].tolist(), arrays["open_date_us"][places].tolist(), strict=True))
    is_fresh = [known.get(key) != digests[place] for key, place in zip(keys, places.tolist(), strict=True)]
    return _Changes(keys=len(places), inserted=sum(key not in known for key in keys), fresh=places[np.array(is_fresh, dtype="bool")])


def _known_digests(connection: Connection, ids: NDArray[np.int64], *, bot: str, run_mode: str) -> dict[tuple[int, int], str]:
    """Return digests by (trade_id, open_date_us), for all trades with ids between the smallest and the largest given one."""
    table = synced_trades.c
    between = table.trade_id.between(int(ids.min()), int(ids.max()))
    query = sa.select(table.trade_id, table.open_date_us, table.digest).where(table.bot == bot, table.run_mode == run_mode, between)
    trade_ids, opened, found = (column.tolist() for column in read_columns(connection, query).values())
    return dict(zip(zip(trade_ids, opened, strict=True), found, strict=True))
