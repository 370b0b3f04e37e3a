"""Publishing: the outbox of the record, and the copy that its readers use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pandas as pd

from bot3.market.regimes import RegimeState
from bot3.ports.learning import LearningReader
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.trades import RunMode


class PublicationKind(StrEnum):
    """Kind of a publication."""

    PARAMETERS = "parameters"
    FEEDER_SCORES = "feeder_scores"
    REGIME = "regime"
    RECOMMENDATION = "recommendation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The record that something was published from: its identity, and its epoch, which changes at a restore.

    After a restore a copy contains publications of a future that the record no longer has; their epoch distinguishes them from its own.
    """

    store_id: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Identifies a complete publication: origin, kind, time it took effect, number in the record, version and number of rows."""

    origin: Origin
    noun: PublicationKind
    known_at: datetime
    seq: int
    version: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSpan:
    """Writes to the record that are not published yet: those after revision `since`, up to `until`."""

    since: int
    until: int
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPublication:
    """Only the rows of one publication, and when the full publication that it is based on took effect."""

    seq: int
    is_full: bool
    parameters: ParameterSet
    full_known_at: datetime
    full_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePublication:
    """All feeder scores of one publication, and the time it took effect."""

    seq: int
    known_at: datetime
    scores: tuple[FeederScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationPublication:
    """One recommendation with its number in the record."""

    seq: int
    recommendation: Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The contents of a span of the outbox.

    Parameters
    ----------
    origin : Origin
        The record it is from; every head contains it.
    trades : pandas.DataFrame
        The trades to write, by close_date: `Trade`'s fields but is_open, direction, leverage_bin, feeder_id, and the record's `digest` of
        each row.
    gone : pandas.DataFrame
        The points of trades before they were changed or deleted: bot, run_mode, trade_id, close_date, pair, direction, leverage_bin,
        feeder_id.
    """

    span: OutboxSpan
    origin: Origin
    parameters: tuple[ParameterPublication, ...]
    scores: tuple[ScorePublication, ...]
    regimes: tuple[RegimeState, ...]
    recommendations: tuple[RecommendationPublication, ...]
    trades: pd.DataFrame
    gone: pd.DataFrame


class Outbox(Protocol):
    """Writes to the record that are not published yet; each entry is made in the transaction of its write."""

    def span(self) -> OutboxSpan | None:
        """Return the pending writes; None if there are none."""
        ...

    def waiting_since(self) -> datetime | None:
        """Return when the oldest pending write was made, by the database's clock; None if none is pending."""
        ...

    def pending(self, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> Pending:
        """Return the contents of a span, with the trades of some run modes only, as one state of the record."""
        ...

    def confirm(self, span: OutboxSpan) -> None:
        """Remove a span that was published; entries made since then stay."""
        ...

    def requeue(self, *, since: int = 0) -> None:
        """Make everything written after a revision pending again."""
        ...

    def fold(self) -> None:
        """Merge all pending entries into one, so that they do not accumulate where nothing is published."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication of the record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Result of one publishing step; `refused` points were stored as dead letters, `expired` ones are older than the copy's retention."""

    points: int
    deleted: int
    refused: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Result of replaying the dead letters; the record must be published again after revision `since`, or not at all if it is None."""

    written: int
    still_refused: int
    since: int | None


class Publisher(Protocol):
    """Writes a published copy. Writing the same data twice changes nothing; the head of a publication is written after all its rows.

    Every method raises StoreBusyError if the server cannot be reached before the timeout: nothing is lost, the caller retries later.
    """

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Create what is missing for some bots (buckets with their retention); return what was created."""
        ...

    def clear(self, *, bots: Sequence[str]) -> None:
        """Delete every learned row and head, the trades of some bots, and the dead letters; publish the whole record afterwards."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def connections(self) -> int:
        """Query the server and return how many connections were opened so far: the number changes after a restart of the server."""
        ...

    def publish(self, pending: Pending) -> Published:
        """Delete old points, write rows, then heads.

        Points that cannot be written, or that the server rejects, are stored as dead letters and do not block others.
        """
        ...

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are still rejected stay."""
        ...


class PublishedCopy(LearningReader, Protocol):
    """Readers' view of a published copy."""

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Return the problems of the server's buckets for these bots and for learning, as texts; empty if there are none.

        Raises StoreBusyError if the server cannot be queried.
        """
        ...

    def require_write_access(self, *, bots: Sequence[str]) -> None:
        """Raise StoreError if this platform may not write learning, or the trades of these bots; nothing is written."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every complete publication in the copy, whatever its origin."""
        ...

    def trade_digests(self, bot: str) -> pd.DataFrame:
        """Return a bot's trades in the copy: run_mode, trade_id, open_date, digest; one row per point."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def kept_since(self, *, trades: bool) -> datetime | None:
        """Return the wall time before which the copy's retention deletes everything; None if it is unlimited."""
        ...
