"""Bring the learner up to the record, replay what is due, and keep what replay found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.errors import CandleError
from bot3.learning.groups import Group
from bot3.learning.params import ParameterLearner
from bot3.ports.candles import CandleReader
from bot3.ports.record import ReplayRecord, TradeRecord
from bot3.trading.trades import RunMode


class TradeAndReplayRecord(TradeRecord, ReplayRecord, Protocol):
    """What this use case needs of the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOutcome:
    """What changed: groups touched, replays written by state, and the record's revision.

    `trades_revision` is the revision up to which trades were taken in; `missing` names pairs whose candles could not be read, and why.
    """

    touched: frozenset[Group]
    written: dict[str, int]
    trades_revision: int
    revision: int
    missing: dict[str, str]
    funding_missing_share: float


def replay_trades(
    record: TradeAndReplayRecord,
    learner: ParameterLearner,
    candles: CandleReader,
    *,
    run_modes: Sequence[RunMode],
    now: datetime,
) -> ReplayOutcome:
    """Take new and changed trades into the learner, replay those whose horizon is over, and write what changed.

    A learner that starts anew reads all trades, and replays them all in memory; only states that the record does not hold are written.
    """
    trades_revision, touched = _take_in(record, learner, run_modes=run_modes, now=now)
    missing: dict[str, str] = {}
    for pair in learner.pairs_waiting(now=now):
        try:
            load_candles(learner, candles, pair, now=now)
        except CandleError as error:
            missing[pair] = str(error)
    touched |= learner.replay_due(now=now)
    replays, rows = learner.unsaved_replays()
    revision = record.save_replays(replays) if len(replays) else record.revision()
    learner.table.confirm_saved(rows)
    return ReplayOutcome(
        touched=frozenset(touched),
        written={str(state): int(count) for state, count in replays["state"].value_counts().items()},
        trades_revision=trades_revision,
        revision=revision,
        missing=missing,
        funding_missing_share=learner.funding_missing_share(),
    )


def load_candles(learner: ParameterLearner, candles: CandleReader, pair: str, *, now: datetime) -> None:
    """Give the learner the candles of a pair that closed since the last load, and all funding known by now.

    Funding is read whole each time: a payment may become known after the candles around it, and a window that begins at the last closed
    candle would hold the newest payments twice.

    Raises
    ------
    CandleError
        If the pair is unknown or its candles cannot be read.
    """
    timeframe = learner.settings.timeframe
    first, _ = candles.span(pair, timeframe)
    start = learner.candles_until(pair) or first
    if start >= now:
        return
    learner.add_candles(pair, candles.candles(pair, timeframe, start=start, end=now), candles.funding(pair, start=first, end=now))


def _take_in(
    record: TradeAndReplayRecord, learner: ParameterLearner, *, run_modes: Sequence[RunMode], now: datetime
) -> tuple[int, set[Group]]:
    """Read the trades that changed since the learner's revision; all of them at the start or after a deletion."""
    # The revision is read first: a trade written in between is read now and once more, never missed.
    revision = record.revision()
    if revision == learner.revision:
        return revision, learner.ingest_known(pd.DataFrame(), now=now)
    counts = record.counts()
    deleted = int(counts["deleted"].sum()) if len(counts) else 0
    if learner.revision is not None and deleted != learner.deleted:
        learner.reset()
    is_new = learner.revision is None
    touched = learner.ingest_known(record.trades(as_of=None, run_modes=run_modes, since_revision=learner.revision), now=now)
    if is_new:
        learner.table.mark_saved(record.replays(as_of=None, run_modes=run_modes), version=learner.replay_version)
    learner.revision, learner.deleted = revision, deleted
    return revision, touched
