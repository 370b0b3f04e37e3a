"""Learn and publish parameters from closed trades: sync them to the record, replay, review, learn, publish, in this order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bot3.errors import LearningError
from bot3.ports.candles import CandleReader
from bot3.ports.record import PlatformRecord, SyncOutcome
from bot3.ports.trades import TradeReader
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.trading.recommendations import Recommendation
from bot3.trading.trades import RunMode
from bot3.usecases.learning.learn_params import Check, LearnOutcome, learn_params
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.replay_trades import ReplayOutcome, replay_trades
from bot3.usecases.learning.sync_trades import TradeSync, sync_trades

_T = TypeVar("_T")
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSource:
    """A reader of one bot's trades of one run mode."""

    reader: TradeReader
    run_mode: RunMode


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetReport:
    """Result of a step for one Dagster asset: figures to show with the asset, its duration in seconds, and its checks."""

    asset: str
    metadata: Mapping[str, Value]
    duration_s: float
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelearnReport:
    """Result of one learning step, asset by asset, in the order in which they depend on each other.

    Parameters
    ----------
    revision : int
        The record's revision afterwards.
    changed : bool
        Whether the sync changed trades of the record, trades or replays of a group changed, or parameters were published.
    parameters : ParameterSet or None
        The published parameters; None if none were published.
    recommendation : Recommendation or None
        The published recommendation; None if the step computes none (`relearn_step`).
    """

    revision: int
    changed: bool
    assets: tuple[AssetReport, ...]
    parameters: ParameterSet | None
    recommendation: Recommendation | None = None


def relearn_step(
    record: PlatformRecord,
    session: LearnerSession,
    candles: CandleReader,
    *,
    sources: Sequence[TradeSource],
    run_modes: Sequence[RunMode],
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    overlap: timedelta = timedelta(days=7),
    full: bool = False,
) -> RelearnReport:
    """Sync some bots' closed trades to the record, replay due trades, learn the groups whose trades changed, and publish the result.

    Parameters
    ----------
    sources : sequence of TradeSource
        Trades to sync; empty if the record is synced already.
    run_modes : sequence of RunMode
        Run modes whose trades are learned from together.
    now, computed_at : datetime
        Market time, and wall time.
    life : timedelta
        Market time until published parameters expire.
    overlap : timedelta
        Closes up to this long before the newest close in the record are read again.
    full : bool
        Refit pooling and publish the rows of all groups.

    Raises
    ------
    StoreBusyError
        If a store is locked or unavailable: wait and call again.
    StoreConflictError
        If other processes published in between (`learn_params`).
    LearningError
        If a source and the record do not contain the same number of trades after the sync, or a check of the parameters failed: the last
        valid ones stay in force, and synced trades stay in the record.
    """
    syncs, sync_s = timed(lambda: [_synced(source, record, overlap=overlap) for source in sources])
    require_reconciled(syncs)
    replays, replay_s = timed(lambda: replay_trades(record, session, candles, run_modes=run_modes, now=now))
    learned, learn_s = timed(
        lambda: learn_params(
            record,
            session,
            now=now,
            computed_at=computed_at,
            life=life,
            trades_revision=replays.trades_revision,
            full=full,
        )
    )
    return RelearnReport(
        revision=max(replays.revision, learned.revision),
        changed=any(sync.changed for sync in syncs) or bool(replays.touched) or learned.published is not None,
        assets=(_sync_report(syncs, sync_s), _replay_report(replays, replay_s), _learn_report(learned, learn_s)),
        parameters=learned.published,
    )


def require_reconciled(syncs: Sequence[TradeSync]) -> None:
    """Raise LearningError if a source and the record contain different numbers of trades: learning would use wrong trades."""
    lost = [f"{sync.bot} {sync.run_mode} ({_difference(sync)})" for sync in syncs if not sync.is_reconciled]
    if lost:
        raise LearningError(
            f"closed trades and the record differ: {'; '.join(lost)}; nothing was learned, the last publication stays in force: "
            "correct the difference, then run `bot3 learn run`"
        )


def _synced(source: TradeSource, record: PlatformRecord, *, overlap: timedelta) -> TradeSync:
    first = sync_trades(source.reader, record.trades, run_mode=source.run_mode, overlap=overlap)
    if first.is_reconciled:
        return first
    # A trade may have closed between reading and counting: only what still differs at a second comparison is lost.
    second = sync_trades(source.reader, record.trades, run_mode=source.run_mode, full=True)
    return replace(second, outcome=_joined(first.outcome, second.outcome))


def _joined(first: SyncOutcome, second: SyncOutcome) -> SyncOutcome:
    return SyncOutcome(
        inserted=first.inserted + second.inserted,
        updated=first.updated + second.updated,
        unchanged=second.unchanged,
        deleted=first.deleted + second.deleted,
        revision=second.revision,
    )


def timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """Call a function; return its result, and its duration in seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _sync_report(syncs: Sequence[TradeSync], duration_s: float) -> AssetReport:
    metadata: dict[str, Value] = {
        name: sum(getattr(sync.outcome, name) for sync in syncs) for name in ("inserted", "updated", "unchanged", "deleted")
    }
    checks = tuple(
        Check(
            name=f"trades_of_{sync.bot}_{sync.run_mode}_are_reconciled",
            passed=sync.is_reconciled,
            detail=_difference(sync),
        )
        for sync in syncs
    )
    return AssetReport(asset="synced_trades", metadata=metadata, duration_s=duration_s, checks=checks)


def _difference(sync: TradeSync) -> str:
    return f"source {sync.source_count}, record {sync.record_count}, missing {_ids(sync.missing)}, surplus {_ids(sync.surplus)}"


def _ids(keys: Sequence[tuple[int, datetime]]) -> str:
    return ", ".join(str(trade_id) for trade_id, _ in keys[:20]) or "none"


def _replay_report(replays: ReplayOutcome, duration_s: float) -> AssetReport:
    metadata: dict[str, Value] = {f"written_{state}": count for state, count in replays.written.items()}
    metadata["touched_groups"] = len(replays.touched)
    metadata["funding_missing_share"] = replays.funding_missing_share
    detail = "; ".join(f"{pair}: {why}" for pair, why in replays.missing.items()) or "all"
    return AssetReport(
        asset="trade_replays",
        metadata=metadata,
        duration_s=duration_s,
        checks=(Check(name="candles_of_traded_pairs_are_readable", passed=not replays.missing, detail=detail),),
    )


def _learn_report(learned: LearnOutcome, duration_s: float) -> AssetReport:
    published = learned.published
    metadata: dict[str, Value] = {
        "rows": len(published.rows) if published else 0,
        "version": published.version if published else None,
        "is_full": learned.is_full,
    }
    if published is not None:
        states = Counter(row.state for row in published.rows.values())
        metadata |= {f"rows_{state.value}": states[state] for state in ParameterState}
        censored = sorted({f"{row.pair} {row.direction}" for row in published.rows.values() if row.is_censored})
        metadata["censored_pairs_and_directions"] = ", ".join(censored) or "none"
    if learned.ledger is not None and learned.permission is not None:
        reviewed = datetime.fromtimestamp(86_400.0 * learned.ledger.day, UTC).date()
        metadata |= {"reviewed_until": reviewed.isoformat(), "open_nodes": len(learned.permission.opened)}
    if learned.counted_again_from is not None:
        # The stored evidence could not be continued: it is computed again from all replays since this day.
        metadata["days_counted_again_from"] = datetime.fromtimestamp(86_400.0 * learned.counted_again_from, UTC).date().isoformat()
    return AssetReport(asset="adaptive_params", metadata=metadata, duration_s=duration_s, checks=learned.checks)
