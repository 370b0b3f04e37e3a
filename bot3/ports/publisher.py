"""Publish the record (the platform's own store) to a copy that other processes read; the outbox lists the writes not published yet."""

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
    """The record that something was published from: its identity, and its epoch, a text that changes when the record is restored.

    After a restore a copy contains publications that the restored record does not have; their epoch differs from the record's.
    """

    store_id: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Identifies a complete publication: origin, kind, market time from which it is in force, number in the record, version, row count."""

    origin: Origin
    noun: PublicationKind
    known_at: datetime
    seq: int
    version: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSpan:
    """Writes to the record that are not published yet: those after revision `since`, up to and including revision `until`."""

    since: int
    until: int
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPublication:
    """The rows of one publication only, and the time and number of the full publication whose other rows remain in force with them."""

    seq: int
    is_full: bool
    parameters: ParameterSet
    full_known_at: datetime
    full_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePublication:
    """All feeder scores of one publication, and the market time from which they are in force."""

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
    """The contents of a span of the outbox. Publications whose values are out of bounds are left out.

    Parameters
    ----------
    origin : Origin
        The record it is from; every head contains it.
    trades : pandas.DataFrame
        The trades to write, by close_date. Columns: the fields of `Trade` except is_open, then direction, leverage_bin, feeder_id, and the
        record's `digest` of each row.
    gone : pandas.DataFrame
        The points to delete first, of trades that were deleted or changed, by their former values: bot, run_mode, trade_id, close_date,
        pair, direction, leverage_bin, feeder_id.
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
        """Return the span of the pending writes; None if there are none."""
        ...

    def waiting_since(self) -> datetime | None:
        """Return the wall time of the oldest pending write, by the database's clock; None if there is none."""
        ...

    def pending(self, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> Pending:
        """Return the contents of a span as one state of the record, with only the trades of the given run modes."""
        ...

    def confirm(self, span: OutboxSpan) -> None:
        """Mark a span as published; later writes stay pending."""
        ...

    def requeue(self, *, since: int = 0) -> None:
        """Mark everything written after a revision as pending again."""
        ...

    def fold(self) -> None:
        """Merge all pending entries into one, so that they do not accumulate if nothing is published."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication of the record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Result of one publishing step.

    `points` were written, `deleted` points of trades were removed, `refused` points were stored as dead letters, and `expired` trades and
    publications were not written because they are older than the copy's retention.
    """

    points: int
    deleted: int
    refused: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Result of writing the dead letters again: points written, points refused again, and the revision to publish from.

    The caller must publish what the record wrote after revision `since` again; None: nothing must be published again.
    """

    written: int
    still_refused: int
    since: int | None


class Publisher(Protocol):
    """Writes a published copy. Writing the same data twice changes nothing; the head of a publication is written after all its rows.

    Every method that sends a request raises StoreBusyError if the server does not respond before the timeout; the caller retries later.
    """

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Create the missing buckets of some bots' trades and of learning, with their retention; return the names of the created ones."""
        ...

    def clear(self, *, bots: Sequence[str]) -> None:
        """Delete all published learning, the trades of some bots, and the dead letters; the caller then publishes the whole record."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def connections(self) -> int:
        """Query the server and return how many connections were opened so far: the number changes after a restart of the server."""
        ...

    def publish(self, pending: Pending) -> Published:
        """Delete the points of changed and deleted trades, write rows, then heads.

        Points that cannot be represented or that the server rejects permanently are stored as dead letters and do not block others.
        """
        ...

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are rejected again stay stored."""
        ...


class PublishedCopy(LearningReader, Protocol):
    """Reads a published copy: its learning, its trades, and the state of its server."""

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Return the problems of the server's buckets for these bots and for learning, as texts; empty if there are none.

        Raises StoreBusyError if the server cannot be queried.
        """
        ...

    def require_write_access(self, *, bots: Sequence[str]) -> None:
        """Raise StoreError if this platform may not write learning, or the trades of these bots; nothing is written."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every complete publication in the copy, of any record and epoch."""
        ...

    def trade_digests(self, bot: str) -> pd.DataFrame:
        """Return a bot's trades in the copy: run_mode, trade_id, open_date, digest; one row per point."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def kept_since(self, *, trades: bool) -> datetime | None:
        """Return the wall time from which on the copy surely retains its points: an hour after the end of its retention.

        None if the retention is unlimited. `trades` selects the retention of trades, otherwise that of learning is used.
        """
        ...
