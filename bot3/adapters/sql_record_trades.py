"""Synced trades in the record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.adapters.sql_record_base import SqlRecordBase, in_groups, in_modes
from bot3.adapters.sql_rows import bulk_insert, from_us, read_frame, to_us
from bot3.adapters.sql_tables_platform import record_meta, synced_trades
from bot3.ports.record import SyncOutcome
from bot3.ports.trade_columns import COLUMNS, FLOATS, TradeColumns
from bot3.trading.leverage_bins import leverage_bin
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import RunMode, Trade, direction

_OWN = COLUMNS
_REST = ("direction", "leverage_bin", "feeder_id", "known_at_us", "revision", "digest", "deleted")
_FRAME = tuple(synced_trades.c[name] for name in (*_OWN, "direction", "leverage_bin", "feeder_id", "known_at_us", "revision"))

_Key = tuple[str, str, int, int]


class SqlTradeRecord(SqlRecordBase):
    """A `TradeRecord`."""

    _counted: tuple[int, pd.DataFrame] | None = None
    """The counts of a revision: nothing that they count changes without raising it."""

    def upsert_trades(self, trades: Sequence[Trade]) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; unchanged rows keep their revision.

        Raises StoreError for a trade that is open: it has no close to learn from.
        """
        return self.upsert_columns(TradeColumns.of(trades))

    def upsert_columns(self, columns: TradeColumns) -> SyncOutcome:
        """Do what `upsert_trades` does, for trades that are columns already."""
        lists, digests = columns.lists, row_digests(columns)
        # Of a key that comes twice the last row counts.
        places = {key: place for place, key in enumerate(zip(*(lists[name] for name in _KEY), strict=True))}
        with self._writing() as writing:
            known = _known_digests(writing.connection, list(places))
            fresh = [(key, place) for key, place in places.items() if known.get(key) != digests[place]]
            rows = _rows(columns, digests, [place for _, place in fresh], revision=writing.revision)
            bulk_insert(writing.connection, synced_trades, rows, columns=(*_OWN, *_REST), replaces=True)
            writing.changed = bool(rows)
            inserted = sum(key not in known for key, _ in fresh)
            return SyncOutcome(
                inserted=inserted,
                updated=len(fresh) - inserted,
                unchanged=len(places) - len(fresh),
                deleted=0,
                revision=writing.after,
            )

    def delete_trades(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        """Mark trades that vanished from their source as deleted (a tombstone keeps the row)."""
        with self._writing() as writing:
            deleted = 0
            for trade_id, open_date in keys:
                row = sa.and_(*_of(bot, run_mode), synced_trades.c.trade_id == trade_id, synced_trades.c.open_date_us == to_us(open_date))
                # The digest goes, so that a trade that comes back is a change even if it is the same.
                gone = sa.update(synced_trades).where(row, ~synced_trades.c.deleted)
                deleted += writing.connection.execute(gone.values(deleted=True, digest="", revision=writing.revision)).rowcount
            writing.changed = deleted > 0
            return SyncOutcome(inserted=0, updated=0, unchanged=len(keys) - deleted, deleted=deleted, revision=writing.after)

    def trade_keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        """Return the keys (trade_id, open_date) of the trades that are not deleted."""
        query = sa.select(synced_trades.c.trade_id, synced_trades.c.open_date_us).where(*_of(bot, run_mode), ~synced_trades.c.deleted)
        if closed_since is not None:
            # A trade is known at its close, and that column has an index.
            query = query.where(synced_trades.c.known_at_us >= to_us(closed_since))
        with self._database.read() as connection:
            return {(row.trade_id, from_us(row.open_date_us)) for row in connection.execute(query)}

    def trades(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        bots: Sequence[str] | None = None,
        groups: Sequence[tuple[str, str, str]] | None = None,
        since_revision: int | None = None,
    ) -> pd.DataFrame:
        """Return the trade frame with known_at <= as_of, by close date; since_revision is exclusive."""
        table = synced_trades.c
        query = sa.select(*_FRAME).where(in_modes(table.run_mode, run_modes), ~table.deleted, in_groups(synced_trades, groups))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        if bots is not None:
            query = query.where(table.bot.in_(list(bots)))
        if since_revision is not None:
            query = query.where(table.revision > since_revision)
        with self._database.read() as connection:
            return read_frame(connection, query.order_by(table.close_date_us, table.bot, table.trade_id, table.open_date_us))

    def counts(self) -> pd.DataFrame:
        """Return closed trades by bot, run_mode: columns bot, run_mode, trades, first_close, last_close, deleted."""
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
            )
            .group_by(table.bot, table.run_mode)
            .order_by(table.bot, table.run_mode)
        )
        with self._database.read() as connection:
            # The revision first: counts that are newer than their revision are counted again, older ones there are none.
            revision = int(connection.execute(sa.select(record_meta.c.revision)).scalar_one())
            if self._counted is None or self._counted[0] != revision:
                self._counted = revision, read_frame(connection, query)
            return self._counted[1].copy()


def _of(bot: str, run_mode: RunMode) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return synced_trades.c.bot == bot, synced_trades.c.run_mode == run_mode.value


_KEY = ("bot", "run_mode", "trade_id", "open_date_us")
_NUMBERS = ("open_date_us", "close_date_us", *FLOATS)
_TEXTS = ("bot", "run_mode", "account", "pair", "enter_tag", "exit_reason")
_FEW = 4_000
"""Up to so many trades are looked up by their ids; for more, all of their bot are read."""


def row_digests(columns: TradeColumns) -> list[str]:
    """Return a digest of each row: equal for equal trades, whichever way they came."""
    lists = columns.lists
    numbers = np.column_stack([_as_bits(lists[name]) for name in _NUMBERS]) if len(columns) else np.empty((0, len(_NUMBERS)), "int64")
    size, packed = numbers.shape[1] * 8, np.ascontiguousarray(numbers).tobytes()
    texts = zip(*(lists[name] for name in _TEXTS), lists["trade_id"], lists["is_short"], strict=True)
    return [
        hashlib.blake2s(packed[start : start + size] + repr(text).encode(), digest_size=12).hexdigest()
        for start, text in zip(range(0, len(packed), size), texts, strict=True)
    ]


def _as_bits(column: Sequence[Any]) -> NDArray[np.int64]:
    if column and type(column[0]) is int:
        return np.array(column, dtype="int64")
    return np.array(column, dtype="float64").view("int64")


def _rows(columns: TradeColumns, digests: Sequence[str], places: Sequence[int], *, revision: int) -> list[tuple[Any, ...]]:
    """Return rows to write, in the order of `_OWN` and `_REST`."""
    whole = places if len(places) < len(digests) else None
    own = [_picked(columns.lists[name], whole) for name in _OWN]
    named = dict(zip(_OWN, own, strict=True))
    bins = {leverage: leverage_bin(leverage) for leverage in set(named["leverage"])}
    feeders = {tag: feeder_of_enter_tag(tag) for tag in set(named["enter_tag"])}
    count = len(places)
    rest = (
        [direction(is_short=is_short) for is_short in named["is_short"]],
        [bins[leverage] for leverage in named["leverage"]],
        [feeders[tag] for tag in named["enter_tag"]],
        named["close_date_us"],
        [revision] * count,
        _picked(digests, whole),
        [False] * count,
    )
    return list(zip(*own, *rest, strict=True))


def _picked(column: Sequence[Any], places: Sequence[int] | None) -> Sequence[Any]:
    return column if places is None else [column[place] for place in places]


def _known_digests(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, str]:
    table = synced_trades.c
    known: dict[_Key, str] = {}
    for bot, run_mode in sorted({key[:2] for key in keys}):
        query = sa.select(table.trade_id, table.open_date_us, table.digest).where(table.bot == bot, table.run_mode == run_mode)
        for wanted in _id_groups(keys, bot=bot, run_mode=run_mode):
            found = connection.execute(query if wanted is None else query.where(table.trade_id.in_(wanted)))
            known |= {(bot, run_mode, row[0], row[1]): row[2] for row in found}
    return known


def _id_groups(keys: Sequence[_Key], *, bot: str, run_mode: str) -> list[list[int] | None]:
    ids = sorted({key[2] for key in keys if key[:2] == (bot, run_mode)})
    return [None] if len(ids) > _FEW else [ids[start : start + 500] for start in range(0, len(ids), 500)]
