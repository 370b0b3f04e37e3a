"""Store trade replays in the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.record.conditions import in_groups, in_modes
from bot3.adapters.sql.record.scope import RecordScope
from bot3.adapters.sql.record.tables import trade_replays
from bot3.adapters.sql.rows import bulk_insert, frame_rows, maybe_at, read_frame, to_us
from bot3.trading.trades import RunMode

_REPLAYS = tuple(column.name for column in trade_replays.columns)
_PENDING = "pending"


class SqlReplays:
    """A `ReplayRepository` in SQL."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def save(self, replays: pd.DataFrame) -> int:
        """Insert or update replays by key; return the revision. An empty frame changes nothing."""
        with self._scope.write() as writing:
            rows = frame_rows(replays, _REPLAYS, revision=writing.revision)
            bulk_insert(writing.connection, trade_replays, rows, columns=_REPLAYS, replaces=True)
            writing.changed = bool(rows)
            return writing.after

    def frame(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        groups: Sequence[tuple[str, str, str]] | None = None,
    ) -> pd.DataFrame:
        """Return the replay frame with known_at <= as_of (all rows for None), sorted by known_at."""
        table = trade_replays.c
        query = sa.select(trade_replays).where(in_modes(table.run_mode, run_modes), in_groups(trade_replays, groups))
        if as_of is not None:
            query = query.where(table.known_at_us <= to_us(as_of))
        with self._scope.read() as connection:
            return read_frame(connection, query.order_by(table.known_at_us, table.bot, table.trade_id, table.open_date_us))

    def next_due_at(self) -> datetime | None:
        """Return the earliest due_at of pending replays; None if no replay is pending."""
        query = sa.select(sa.func.min(trade_replays.c.due_at_us)).where(trade_replays.c.state == _PENDING)
        with self._scope.read() as connection:
            return maybe_at(connection.execute(query).scalar_one())

    def counts(self, *, bot: str, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Count a bot's replays: columns state, reason, replays; one row per existing state and reason."""
        table = trade_replays.c
        query = (
            sa.select(table.state, table.reason, sa.func.count().label("replays"))
            .where(table.bot == bot, in_modes(table.run_mode, run_modes))
            .group_by(table.state, table.reason)
            .order_by(table.state, table.reason)
        )
        with self._scope.read() as connection:
            return read_frame(connection, query)
