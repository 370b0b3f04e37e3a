"""Store trade replays and shadow trades in the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.base import SqlRecordBase, in_groups, in_modes
from bot3.adapters.sql.record.tables import shadow_trades, trade_replays
from bot3.adapters.sql.rows import bulk_insert, frame_rows, from_us, maybe_at, read_frame, to_us
from bot3.trading.trades import RunMode

_REPLAYS = tuple(column.name for column in trade_replays.columns)
_SHADOWS = tuple(column.name for column in shadow_trades.columns)
_PENDING = "pending"


class SqlReplayRecord(SqlRecordBase):
    """A `ReplayRecord` in SQL."""

    def save_replays(self, replays: pd.DataFrame) -> int:
        """Insert or update replays by key; return the revision."""
        with self._writing() as writing:
            rows = frame_rows(replays, _REPLAYS, revision=writing.revision)
            bulk_insert(writing.connection, trade_replays, rows, columns=_REPLAYS, replaces=True)
            writing.changed = bool(rows)
            return writing.after

    def replays(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        groups: Sequence[tuple[str, str, str]] | None = None,
    ) -> pd.DataFrame:
        """Return the replay frame with known_at <= as_of, by known_at."""
        table = trade_replays.c
        query = sa.select(trade_replays).where(in_modes(table.run_mode, run_modes), in_groups(trade_replays, groups))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        with self._database.read() as connection:
            return read_frame(connection, query.order_by(table.known_at_us, table.bot, table.trade_id, table.open_date_us))

    def next_due_at(self) -> datetime | None:
        """Return the earliest due_at of pending replays; None if none is pending."""
        query = sa.select(sa.func.min(trade_replays.c.due_at_us)).where(trade_replays.c.state == _PENDING)
        with self._database.read() as connection:
            return maybe_at(connection.execute(query).scalar_one())

    def replay_counts(self, *, bot: str, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Count a bot's replays: columns state, reason, replays; one row per existing state and reason."""
        table = trade_replays.c
        query = (
            sa.select(table.state, table.reason, sa.func.count().label("replays"))
            .where(table.bot == bot, in_modes(table.run_mode, run_modes))
            .group_by(table.state, table.reason)
            .order_by(table.state, table.reason)
        )
        with self._database.read() as connection:
            return read_frame(connection, query)


class SqlShadowRecord(SqlRecordBase):
    """A `ShadowRecord` in SQL."""

    def save_shadow_trades(self, shadow_trades: pd.DataFrame) -> int:
        """Insert shadow trades; rows with an existing key are skipped. Return the revision."""
        with self._writing() as writing:
            rows = frame_rows(shadow_trades, _SHADOWS, revision=writing.revision)
            writing.changed = bulk_insert(writing.connection, _SHADOW_TABLE, rows, columns=_SHADOWS, replaces=False) > 0
            return writing.after

    def shadow_trades(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the shadow frame with known_at <= as_of, by known_at."""
        table = _SHADOW_TABLE.c
        columns = [column for column in _SHADOW_TABLE.columns if column.name != "revision"]
        query = sa.select(*columns).where(in_modes(table.run_mode, run_modes))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        with self._database.read() as connection:
            return read_frame(connection, query.order_by(table.known_at_us, table.feeder_id, table.pair, table.open_date_us))

    def last_shadow_close(self, *, run_mode: RunMode) -> Mapping[tuple[str, str], datetime]:
        """Return the newest close date by (feeder_id, pair)."""
        table = _SHADOW_TABLE.c
        newest = sa.func.max(table.close_date_us).label("newest_us")
        query = sa.select(table.feeder_id, table.pair, newest).where(table.run_mode == run_mode.value).group_by(table.feeder_id, table.pair)
        with self._database.read() as connection:
            return {(row.feeder_id, row.pair): from_us(row.newest_us) for row in connection.execute(query)}


# The port's method and parameter have the table's name.
_SHADOW_TABLE = shadow_trades
