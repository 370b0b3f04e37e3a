"""Publishing: what the record has not yet told its readers elsewhere, and where it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pandas as pd

from bot3.market.regimes import RegimeState
from bot3.ports.record import LearningReader
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.trades import RunMode


class Noun(StrEnum):
    """What a publication is of."""

    PARAMETERS = "parameters"
    FEEDER_SCORES = "feeder_scores"
    REGIME = "regime"
    RECOMMENDATION = "recommendation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The record that something was published from: its identity, and its epoch, which a restore begins anew.

    After a restore a copy holds publications of a future that the record no longer has; their epoch tells them from the record's own.
    """

    store_id: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Names a complete publication: whose it is, its noun, when it came into force, its number in the record, its version and its rows."""

    origin: Origin
    noun: Noun
    known_at: datetime
    seq: int
    version: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSpan:
    """Writes to the record that were not published yet: those after revision `since`, up to `until`."""

    since: int
    until: int
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPublication:
    """The rows of one publication alone, and when the full publication that it stands on came into force."""

    seq: int
    is_full: bool
    parameters: ParameterSet
    full_known_at: datetime
    full_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePublication:
    """All feeder scores of one publication, and the time that it came into force."""

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
    """What a span of the outbox holds.

    Parameters
    ----------
    origin : Origin
        Whose it is; every head says so.
    trades : pandas.DataFrame
        The trades to write, by close_date: `Trade`'s fields but is_open, direction, leverage_bin, feeder_id, and the record's `digest` of
        each row.
    gone : pandas.DataFrame
        Where trades stood before they were changed or deleted: bot, run_mode, trade_id, close_date, pair, direction, leverage_bin,
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
    """What was written to the record and not yet published; an entry is made in the very transaction of its write."""

    def span(self) -> OutboxSpan | None:
        """Return the writes that wait; None if there are none."""
        ...

    def origin(self) -> Origin:
        """Return the identity of the record and its epoch."""
        ...

    def waiting_since(self) -> datetime | None:
        """Return when the oldest write that waits was made, by the database's clock; None if none waits."""
        ...

    def pending(self, span: OutboxSpan, *, run_modes: Sequence[RunMode]) -> Pending:
        """Return what a span holds, trades of some run modes only, as one state of the record."""
        ...

    def confirm(self, span: OutboxSpan) -> None:
        """Forget a span that was published; entries made since then stay."""
        ...

    def requeue(self, *, since: int = 0) -> None:
        """Let everything written after a revision wait again."""
        ...

    def fold(self) -> None:
        """Make one entry of all that wait, so that they do not pile up where nobody publishes."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return every publication of the record."""
        ...

    def trade_digests(self, *, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the trades that are not deleted: bot, run_mode, trade_id, open_date, close_date, digest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one publishing step did; `refused` points went to the dead letters, `expired` ones are older than the copy is kept."""

    points: int
    deleted: int
    refused: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What replaying the dead letters did; `since` is the revision after which the record must be published again, None if it need not."""

    written: int
    still_refused: int
    since: int | None


class Publisher(Protocol):
    """Writes a published copy. Writing the same twice changes nothing; the head of a publication is written after all its rows.

    Every method raises StoreBusyError if the server cannot be reached in time: then nothing is lost, it is done again later.
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
        """Ask the server whether it is there; return how many connections were opened so far: after its restart it is another number."""
        ...

    def publish(self, pending: Pending) -> Published:
        """Delete what is gone, write rows, then heads.

        What cannot be written, or is refused for good, is kept in the dead letters, and keeps nothing else back.
        """
        ...

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are still refused stay."""
        ...


class PublishedCopy(LearningReader, Protocol):
    """What readers find in a published copy."""

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Return what is wrong with what the server keeps for these bots and for learning, in words; nothing if all is well.

        Raises StoreBusyError if it cannot be asked.
        """
        ...

    def require_write_access(self, *, bots: Sequence[str]) -> None:
        """Raise StoreError if this platform may not write learning, or the trades of these bots; nothing is written."""
        ...

    def heads(self) -> frozenset[Head]:
        """Return every complete publication in the copy, of whatever origin."""
        ...

    def trade_digests(self, bot: str) -> pd.DataFrame:
        """Return a bot's trades in the copy: run_mode, trade_id, open_date, digest; one row a point."""
        ...

    def close(self) -> None:
        """Close the connection; whoever asks next opens another."""
        ...

    def kept_since(self, *, trades: bool) -> datetime | None:
        """Return the wall time before which the copy keeps nothing; None if it keeps all."""
        ...
