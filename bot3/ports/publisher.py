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
    """Identifies a complete publication.

    `noun` is its kind, `known_at` the market time from which it is in force, `seq` its number in the record (0 for a regime state), and
    `rows` the number of its own rows.
    """

    origin: Origin
    noun: PublicationKind
    known_at: datetime
    seq: int
    version: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSpan:
    """Writes to the record that are not published yet: those after revision `since`, up to and including revision `until`.

    `writes` is the number of the outbox's entries; an entry may stand for several writes that were merged.
    """

    since: int
    until: int
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPublication:
    """The rows of one publication of parameters, and the full publication whose other rows remain in force with them.

    `full_known_at` and `full_seq` are the time and number of the newest full publication up to this one (this one itself if it is full); of
    the first publication if none was full.
    """

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
    """What the record contains of a span of writes. Publications whose values are out of bounds are left out.

    Parameters
    ----------
    origin : Origin
        The record that the contents are from; every head contains it.
    trades : pandas.DataFrame
        The trades to write, sorted by close_date. Columns: the fields of `Trade` except is_open, then direction, leverage_bin, feeder_id,
        and the record's `digest` of each row.
    gone : pandas.DataFrame
        Former values of trades that were deleted, or whose change leaves an outdated point in the copy; these points are deleted before
        anything is written. Columns: bot, run_mode, trade_id, close_date, pair, direction, leverage_bin, feeder_id.
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
        """Return the span of all pending writes; None if nothing is pending."""
        ...

    def waiting_since(self) -> datetime | None:
        """Return the wall time of the oldest pending write, by the database's clock; None if nothing is pending."""
        ...

    def pending(self, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> Pending:
        """Return the contents of a span as one state of the record, with only the trades of the given run modes."""
        ...

    def confirm(self, span: OutboxSpan) -> None:
        """Mark a span as published; later writes stay pending."""
        ...

    def requeue(self, *, since: int = 0) -> None:
        """Mark everything that the record wrote after a revision as pending again, except removals of trades that were confirmed."""
        ...

    def fold(self) -> None:
        """Merge all pending entries into one, and delete the pending removals of trades: for a record that has no copy.

        So the outbox does not grow if nothing is published.
        """
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication of the record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Result of one publishing step.

    `points` is the number of points written, heads included; `deleted` that of removed points of trades; `refused` that of points whose
    write or removal became a dead letter instead (a trade or publication that no point can represent counts as one); `expired` that of
    trades and publications not written because the copy's retention of them has ended or ends within an hour.
    """

    points: int
    deleted: int
    refused: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Result of writing the dead letters (points that the server rejected) again: points written or deleted, and points refused again.

    The caller must publish again what the record wrote after revision `since`; None: nothing must be published again.
    """

    written: int
    still_refused: int
    since: int | None


class Publisher(Protocol):
    """Writes the copy of the record. Writing the same data twice changes nothing; the head of a publication is written after all its rows.

    Every method that sends a request raises StoreBusyError if the server does not respond before the timeout; the caller retries later.
    """

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Create the missing buckets for learning and for the trades of some bots, with their retention; return the new names."""
        ...

    def clear(self, *, bots: Sequence[str]) -> None:
        """Delete all published learning, the trades of some bots, and the dead letters; the caller then publishes the whole record."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def connections(self) -> int:
        """Send a request and return how many connections this process has opened so far; the number grows after a restart of the server."""
        ...

    def publish(self, pending: Pending) -> Published:
        """Delete the outdated points of changed and deleted trades, then write rows, then heads.

        Points that cannot be represented or that the server rejects permanently are stored as dead letters and do not block others.
        """
        ...

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are rejected again stay stored."""
        ...


class PublishedCopy(LearningReader, Protocol):
    """Reads the copy of the record: its learning, its trades, and the state of its server."""

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Return the problems of the server's buckets for these bots and for learning, as texts; empty if there are none.

        Raises StoreBusyError if the server cannot be queried.
        """
        ...

    def require_write_access(self, *, bots: Sequence[str]) -> None:
        """Raise StoreError if this platform may not write learning, or the trades of these bots; nothing is written."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication in the copy, of any record and epoch."""
        ...

    def trade_digests(self, bot: str) -> pd.DataFrame:
        """Return a bot's trades in the copy: run_mode, trade_id, open_date, digest; one row per point."""
        ...

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        ...

    def kept_since(self, *, trades: bool) -> datetime | None:
        """Return the time of the oldest points that the copy retains for at least another hour of wall time.

        None if the retention is unlimited. `trades` selects the retention of trades, otherwise that of learning is used.
        """
        ...
