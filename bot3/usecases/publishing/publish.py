"""Publish new writes of the record to InfluxDB, in a step of its own, so that learning does not wait for the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot3.ports.publisher import Outbox, Publisher
from bot3.trading.trades import RunMode

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_MODES = (RunMode.PAPER, RunMode.LIVE)
"""Run modes whose trades are published; trades of backtests are not published, so that readers do not mix them with the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """Result of publishing.

    Parameters
    ----------
    writes : int
        Number of writes to the record that were published.
    points, deleted : int
        Points written to the copy, and points of trades deleted from it.
    refused : int
        Points that could not be written and were stored as dead letters.
    expired : int
        Points that were not written because they are older than the copy's retention.
    revision : int or None
        The record's revision up to which everything is published; None if nothing was pending and the caller does not know it.
    """

    writes: int
    points: int
    deleted: int
    refused: int
    expired: int
    revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """Result of writing the dead letters again: how many were written, how many were rejected again, and the publishing afterwards."""

    written: int
    still_refused: int
    published: PublishReport


Tell = Callable[[PublishReport], None]


def published_bots(counts: pd.DataFrame, *, own: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> tuple[str, ...]:
    """Return the bots whose trades are published: the platform's own, then all others with rows in `TradeRepository.counts`, sorted.

    A bot whose trades were all deleted is included, because the copy may still contain some of them.
    """
    known = counts[counts["run_mode"].astype(str).isin([mode.value for mode in run_modes])]
    return tuple(dict.fromkeys((*own, *sorted(str(bot) for bot in known["bot"].unique()))))


def publish_learning(
    outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES, tell: Tell = lambda _: None
) -> PublishReport:
    """Publish all writes that are pending in the outbox, report the result to the callback, then remove them from the outbox.

    If the process is killed in between, the outbox is unchanged: the same writes are published again, which changes nothing in the copy,
    and reported again.

    Parameters
    ----------
    tell : callable
        Callback that receives the report; not called if nothing was pending.

    Raises
    ------
    StoreBusyError
        If a server cannot be reached before the timeout; the writes stay pending.
    """
    span = outbox.span()
    if span is None:
        return nothing_published(None)
    done = publisher.publish(outbox.pending(span, run_modes=run_modes))
    report = PublishReport(
        writes=span.writes, points=done.points, deleted=done.deleted, refused=done.refused, expired=done.expired, revision=span.until
    )
    tell(report)
    outbox.confirm(span)
    return report


def nothing_published(revision: int | None) -> PublishReport:
    """Return the report of a step that had nothing to publish; `revision` is the record's, if known."""
    return PublishReport(writes=0, points=0, deleted=0, refused=0, expired=0, revision=revision)


def publish_everything(
    outbox: Outbox, publisher: Publisher, *, bots: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES
) -> PublishReport:
    """Delete all published learning, the trades of some bots and the dead letters from the copy, and publish the whole record again.

    If the process is killed in between, the whole record stays pending in the outbox.

    Parameters
    ----------
    bots : sequence of str
        Bots whose trades are deleted from the copy (`published_bots`).

    Raises
    ------
    StoreBusyError
        If a server cannot be reached before the timeout; everything stays pending.
    """
    outbox.requeue()
    publisher.clear(bots=bots)
    return publish_learning(outbox, publisher, run_modes=run_modes)


def replay_dead_letters(outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> ReplayReport:
    """Write the dead letters (points that could not be written) again, then publish all writes to the record since the oldest of them.

    Without the second step an old letter could replace a newer value. Raises StoreBusyError if a server cannot be reached.
    """
    replayed = publisher.replay_dead_letters()
    if replayed.since is not None:
        outbox.requeue(since=replayed.since)
    return ReplayReport(
        written=replayed.written,
        still_refused=replayed.still_refused,
        published=publish_learning(outbox, publisher, run_modes=run_modes),
    )
