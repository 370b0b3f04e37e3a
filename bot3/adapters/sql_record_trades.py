"""Synced trades in the record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql_record_base import SqlRecordBase, in_groups, in_modes
from bot3.adapters.sql_rows import bulk_insert, from_us, plain, read_frame, stored_name, to_us
from bot3.adapters.sql_tables_platform import synced_trades
from bot3.errors import StoreError
from bot3.ports.record import SyncOutcome
from bot3.trading.leverage_bins import leverage_bin
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import RunMode, Trade, direction

_FIELDS = tuple(field.name for field in fields(Trade))
_INSTANTS = frozenset({"open_date", "close_date"})
_COLUMNS = tuple(column.name for column in synced_trades.columns)
_OWN = tuple(stored_name(name, _INSTANTS) for name in _FIELDS)
_REST = ("direction", "leverage_bin", "feeder_id", "known_at_us", "revision", "digest", "deleted")
_FRAME = tuple(synced_trades.c[name] for name in (*_OWN, "direction", "leverage_bin", "feeder_id", "known_at_us", "revision"))

_Key = tuple[str, str, int, int]


class SqlTradeRecord(SqlRecordBase):
    """A `TradeRecord`."""

    def upsert_trades(self, trades: Sequence[Trade]) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; unchanged rows keep their revision.

        Raises StoreError for a trade that is open: it has no close to learn from.
        """
        values = {_key(row): (row, _digest(row)) for row in map(_own_values, trades)}
        with self._writing() as writing:
            known = _known_digests(writing.connection, {key[:2] for key in values})
            fresh = {key: row for key, row in values.items() if known.get(key) != row[1]}
            rows = [(*row, *_derived(row), writing.revision, digest, False) for row, digest in fresh.values()]
            bulk_insert(writing.connection, synced_trades, rows, columns=(*_OWN, *_REST), replaces=True)
            writing.changed = bool(rows)
            inserted = sum(key not in known for key in fresh)
            return SyncOutcome(
                inserted=inserted,
                updated=len(fresh) - inserted,
                unchanged=len(values) - len(fresh),
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
            query = query.where(synced_trades.c.close_date_us >= to_us(closed_since))
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
            return read_frame(connection, query)


def _of(bot: str, run_mode: RunMode) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return synced_trades.c.bot == bot, synced_trades.c.run_mode == run_mode.value


_BOT, _MODE, _ID, _OPENED, _CLOSED = (_OWN.index(name) for name in ("bot", "run_mode", "trade_id", "open_date_us", "close_date_us"))
_SHORT, _LEVERAGE, _TAG = (_OWN.index(name) for name in ("is_short", "leverage", "enter_tag"))


def _own_values(trade: Trade) -> tuple[Any, ...]:
    if trade.is_open or trade.close_date is None:
        raise StoreError(f"{trade.bot} trade {trade.trade_id} is open: the record keeps closed trades")
    return tuple([plain(getattr(trade, name)) for name in _FIELDS])


def _key(row: tuple[Any, ...]) -> _Key:
    return row[_BOT], row[_MODE], row[_ID], row[_OPENED]


def _derived(row: tuple[Any, ...]) -> tuple[str, str, str, int]:
    return direction(is_short=row[_SHORT]), leverage_bin(row[_LEVERAGE]), feeder_of_enter_tag(row[_TAG]), row[_CLOSED]


def _digest(row: tuple[Any, ...]) -> str:
    return hashlib.blake2s(repr(row).encode(), digest_size=12).hexdigest()


def _known_digests(connection: Connection, sources: Iterable[tuple[str, str]]) -> dict[_Key, str]:
    table = synced_trades.c
    known: dict[_Key, str] = {}
    for bot, run_mode in sources:
        query = sa.select(table.trade_id, table.open_date_us, table.digest).where(table.bot == bot, table.run_mode == run_mode)
        known |= {(bot, run_mode, row[0], row[1]): row[2] for row in connection.execute(query)}
    return known
