"""Store shadow trades in the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.conditions import in_modes
from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import shadow_trades
from bot3.adapters.sql.rows import bulk_insert, frame_rows, from_us, read_frame, to_us
from bot3.trading.trades import RunMode

_COLUMNS = tuple(column.name for column in shadow_trades.columns)


class SqlShadowTrades:
    """A `ShadowTradeRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def save(self, trades: pd.DataFrame) -> int:
        """Insert shadow trades; rows with an existing key are skipped. Return the revision."""
        with self._scope.write() as writing:
            rows = frame_rows(trades, _COLUMNS, revision=writing.revision)
            writing.changed = bulk_insert(writing.connection, shadow_trades, rows, columns=_COLUMNS, replaces=False) > 0
            return writing.after

    def frame(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the shadow frame with known_at <= as_of (all rows for None), sorted by known_at."""
        table = shadow_trades.c
        columns = [column for column in shadow_trades.columns if column.name != "revision"]
        query = sa.select(*columns).where(in_modes(table.run_mode, run_modes))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        with self._scope.read() as connection:
            return read_frame(connection, query.order_by(table.known_at_us, table.feeder_id, table.pair, table.open_date_us))

    def last_closes(self, *, run_mode: RunMode) -> Mapping[tuple[str, str], datetime]:
        """Return the newest close date by (feeder_id, pair)."""
        table = shadow_trades.c
        newest = sa.func.max(table.close_date_us).label("newest_us")
        query = sa.select(table.feeder_id, table.pair, newest).where(table.run_mode == run_mode.value).group_by(table.feeder_id, table.pair)
        with self._scope.read() as connection:
            return {(row.feeder_id, row.pair): from_us(row.newest_us) for row in connection.execute(query)}
