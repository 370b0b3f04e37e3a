"""Combine all parts of the platform's record in SQL."""

from __future__ import annotations

from typing import Self

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.feeders import SqlFeederRecord, SqlModelRegistry
from bot3.adapters.sql.record.gates import SqlGateRecord
from bot3.adapters.sql.record.outbox import SqlOutbox
from bot3.adapters.sql.record.parameters import SqlParameterRecord
from bot3.adapters.sql.record.regimes import SqlRecommendationRecord, SqlRegimeRecord
from bot3.adapters.sql.record.replays import SqlReplayRecord, SqlShadowRecord
from bot3.adapters.sql.record.trades import SqlTradeRecord
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins


class SqlRecord(
    SqlTradeRecord,
    SqlReplayRecord,
    SqlShadowRecord,
    SqlParameterRecord,
    SqlGateRecord,
    SqlFeederRecord,
    SqlRegimeRecord,
    SqlRecommendationRecord,
    SqlModelRegistry,
    SqlOutbox,
):
    """A `PlatformRecord` and its `Outbox` on SQLite or PostgreSQL."""

    @classmethod
    def open(cls, url: str, *, bins: LeverageBins = DEFAULT_BINS, read_only: bool = False, busy_timeout_s: float = 5.0) -> Self:
        """Open the record, create it if it is missing, and migrate its schema to this release. Raises StoreError.

        Trades are labelled with the bins when they are written.
        """
        database = Database.open(url, kind="platform", read_only=read_only, busy_timeout_s=busy_timeout_s)
        try:
            return cls(database, read_only=read_only, bins=bins)
        except BaseException:
            database.close()
            raise
