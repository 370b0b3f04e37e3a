"""Load new trades of the record into a session's learner, replay those that are due, and store the replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from bot3.errors import CandleError
from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.replay.groups import Group
from bot3.ports.candles import CandleReader
from bot3.ports.record import PlatformRecord
from bot3.trading.trades import RunMode
from bot3.usecases.learning.learner_session import LearnerSession


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOutcome:
    """Result of loading and replaying trades.

    Parameters
    ----------
    touched : frozenset of Group
        Groups whose trades or replays changed.
    written : dict
        State of a replay ("complete", "pending", ...) to the number of replays written to the record in it.
    trades_revision, revision : int
        The record's revision up to which trades were loaded, and its revision afterwards.
    missing : dict
        Pair to the reason why its candles could not be read; its trades that need new candles are replayed by a later call.
    funding_missing_share : float
        Share of all replayed trades whose funding is not known over their whole horizon, 0 to 1; unknown rates count as zero.
    """

    touched: frozenset[Group]
    written: dict[str, int]
    trades_revision: int
    revision: int
    missing: dict[str, str]
    funding_missing_share: float


def replay_trades(
    record: PlatformRecord,
    session: LearnerSession,
    candles: CandleReader,
    *,
    run_modes: Sequence[RunMode],
    now: datetime,
) -> ReplayOutcome:
    """Load new and changed trades into the session's learner, replay the trades whose horizon has ended by `now`, and write new replays.

    Trades that close after `now` (market time) are used by a later call.

    A learner without trades loads all of the record and replays them in memory; only replays that differ from the record's are written. A
    pair whose candles cannot be read is skipped and reported in `ReplayOutcome.missing`.
    """
    trades_revision, ingested = _ingest(record, session, run_modes=run_modes, now=now)
    learner = session.learner
    missing: dict[str, str] = {}
    for pair in learner.pairs_waiting(now=now):
        try:
            load_candles(learner, candles, pair, now=now)
        except CandleError as error:
            missing[pair] = str(error)
    replayed = learner.replay_due(now=now)
    session.touch(replayed)
    replays, rows = learner.unsaved_replays()
    revision = record.replays.save(replays) if len(replays) else record.revision()
    learner.confirm_saved(rows)
    return ReplayOutcome(
        touched=frozenset(ingested | replayed),
        written={str(state): int(count) for state, count in replays["state"].value_counts().items()},
        trades_revision=trades_revision,
        revision=revision,
        missing=missing,
        funding_missing_share=learner.funding_missing_share(),
    )


def load_candles(learner: ParameterLearner, candles: CandleReader, pair: str, *, now: datetime) -> None:
    """Load the candles of a pair that closed after the last loaded one and by `now`, and all funding known by then, into the learner.

    Funding is read completely each time: a payment may become known after the candles around it, and a window that begins at the last
    closed candle would contain the newest payments twice.

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


def _ingest(record: PlatformRecord, session: LearnerSession, *, run_modes: Sequence[RunMode], now: datetime) -> tuple[int, set[Group]]:
    """Load the trades that changed since the session's position (all of them at the start and after a deletion).

    Return the record's revision, and the groups whose trades changed.
    """
    # Read the revision first: a trade written in between is read now and once more, never missed.
    revision, known = record.revision(), session.position
    if known is not None and revision == known:
        return revision, _ingest_known(session, pd.DataFrame(), now=now)
    # A record at an earlier revision was restored: it may lack trades that the learner has.
    if known is not None and (revision < known or record.trades.deletions(run_modes=run_modes, since_revision=known)):
        session.restart()
        known = None
    touched = _ingest_known(session, record.trades.frame(as_of=None, run_modes=run_modes, since_revision=known), now=now)
    if known is None:
        session.learner.mark_saved(record.replays.frame(as_of=None, run_modes=run_modes))
    session.ingested(revision)
    return revision, touched


def _ingest_known(session: LearnerSession, trades: pd.DataFrame, *, now: datetime) -> set[Group]:
    touched = session.learner.ingest_known(trades, now=now)
    session.touch(touched)
    return touched
