"""Copy a bot's closed trades to the record, those of a recent window or all, and compare the counts afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from bot3.ports.record import SyncOutcome, TradeRepository
from bot3.ports.trade_columns import ColumnReader, ColumnRepository
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.learning.reconciled import recorded_count

Key = tuple[int, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Numbers of closed trades of one bot and run mode in its source and in the record.

    `missing` are the keys (trade_id, open_date) of trades that the source has and the record lacks; `surplus` of those that only the record
    has. Both are computed only if the numbers differ, and are empty otherwise.
    """

    bot: str
    run_mode: RunMode
    source_count: int
    record_count: int
    missing: tuple[Key, ...] = ()
    surplus: tuple[Key, ...] = ()

    @property
    def is_reconciled(self) -> bool:
        """Return whether source and record contain the same number of trades; the trades themselves are not compared."""
        return self.source_count == self.record_count


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSync(Reconciliation):
    """Result of a sync, with the comparison of both sides after it; `is_full` is whether all closed trades were read."""

    outcome: SyncOutcome
    is_full: bool

    @property
    def changed(self) -> int:
        """Return the number of trades inserted, updated or deleted."""
        return self.outcome.inserted + self.outcome.updated + self.outcome.deleted


def sync_trades(
    reader: TradeReader, recorded: TradeRepository, *, run_mode: RunMode, overlap: timedelta = timedelta(days=7), full: bool = False
) -> TradeSync:
    """Insert or update a bot's closed trades in the record, those of a recent window or all, and compare the numbers of closed trades.

    Trades of the window that the record has and the source no longer contains are marked as deleted in the record.

    Parameters
    ----------
    overlap : timedelta
        Closes up to this long before the newest close in the record are read again: trades may be corrected later, and clocks differ.
    full : bool
        Read all closed trades. This is also done if the record has none of them yet or has rows of an earlier release, and if the counts
        differ after the window was read.
    """
    since = None if full else _window_start(recorded, bot=reader.bot, run_mode=run_mode, overlap=overlap)
    outcome = _sync_window(reader, recorded, run_mode=run_mode, since=since)
    synced = _reconciled(reader, recorded, run_mode=run_mode, outcome=outcome, is_full=since is None)
    if synced.is_reconciled or since is None:
        return synced
    outcome = _joined(outcome, _sync_window(reader, recorded, run_mode=run_mode, since=None))
    return _reconciled(reader, recorded, run_mode=run_mode, outcome=outcome, is_full=True)


def reconcile(reader: TradeReader, recorded: TradeRepository, *, run_mode: RunMode) -> Reconciliation:
    """Count the closed trades of a source and of the record; if the counts differ, find the keys that one side lacks."""
    known = recorded_count(recorded.counts(), bot=reader.bot, run_mode=run_mode)
    counted = reader.count_closed(closed_since=None)
    missing: tuple[Key, ...] = ()
    surplus: tuple[Key, ...] = ()
    if counted != known:
        ours = recorded.keys(bot=reader.bot, run_mode=run_mode, closed_since=None)
        theirs = _source_keys(reader)
        missing, surplus = tuple(sorted(theirs - ours)), tuple(sorted(ours - theirs))
    return Reconciliation(bot=reader.bot, run_mode=run_mode, source_count=counted, record_count=known, missing=missing, surplus=surplus)


def _window_start(recorded: TradeRepository, *, bot: str, run_mode: RunMode, overlap: timedelta) -> datetime | None:
    row = _count_row(recorded.counts(), bot=bot, run_mode=run_mode)
    if row is None or pd.isna(row["last_close"]) or row["outdated"]:
        return None
    last: datetime = pd.Timestamp(row["last_close"]).to_pydatetime()
    return last - overlap


def _count_row(counts: pd.DataFrame, *, bot: str, run_mode: RunMode) -> dict[str, Any] | None:
    found = counts[(counts["bot"] == bot) & (counts["run_mode"].astype(str) == str(run_mode))]
    return None if found.empty else {str(name): value for name, value in found.iloc[0].items()}


def _sync_window(reader: TradeReader, recorded: TradeRepository, *, run_mode: RunMode, since: datetime | None) -> SyncOutcome:
    # Read the keys first: a trade that closes in between is then new to both, and never considered deleted.
    known = recorded.keys(bot=reader.bot, run_mode=run_mode, closed_since=since)
    outcome, found = _upserted(reader, recorded, since=since)
    vanished = known - found() if known else set()
    if since is not None and vanished:
        # A close whose time was corrected to before the window has not disappeared.
        vanished -= _source_keys(reader)
    if not vanished:
        return outcome
    return _joined(outcome, recorded.delete(bot=reader.bot, run_mode=run_mode, keys=sorted(vanished)))


def _upserted(reader: TradeReader, recorded: TradeRepository, *, since: datetime | None) -> tuple[SyncOutcome, Callable[[], set[Key]]]:
    """Insert or update the trades that closed at or after `since` (all for None), as columns if both sides support that.

    Return the outcome, and a function that returns the keys of these trades.
    """
    if isinstance(reader, ColumnReader) and isinstance(recorded, ColumnRepository):
        columns = reader.closed_columns(closed_since=since)
        return recorded.upsert_columns(columns), columns.keys
    trades = reader.closed_trades(closed_since=since)
    return recorded.upsert(trades), lambda: _keys(trades)


def _source_keys(reader: TradeReader) -> set[Key]:
    if isinstance(reader, ColumnReader):
        return reader.closed_columns(closed_since=None).keys()
    return _keys(reader.closed_trades(closed_since=None))


def _keys(trades: list[Trade]) -> set[Key]:
    return {(trade.trade_id, trade.open_date) for trade in trades}


def _joined(first: SyncOutcome, second: SyncOutcome) -> SyncOutcome:
    return SyncOutcome(
        inserted=first.inserted + second.inserted,
        updated=first.updated + second.updated,
        unchanged=first.unchanged + second.unchanged,
        deleted=first.deleted + second.deleted,
        revision=max(first.revision, second.revision),
    )


def _reconciled(reader: TradeReader, recorded: TradeRepository, *, run_mode: RunMode, outcome: SyncOutcome, is_full: bool) -> TradeSync:
    compared = reconcile(reader, recorded, run_mode=run_mode)
    return TradeSync(**{item.name: getattr(compared, item.name) for item in fields(Reconciliation)}, outcome=outcome, is_full=is_full)
