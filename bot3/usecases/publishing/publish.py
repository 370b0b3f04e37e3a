"""Publish what the record contains and its copy lacks, in a step of its own: learning does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot3.ports.publisher import Outbox, Publisher
from bot3.trading.trades import RunMode

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_MODES = (RunMode.PAPER, RunMode.LIVE)
"""Run modes whose trades are published; backtest history stays local, and is never mixed with the bots' real trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """Result of publishing, and the record's revision that it reached; `refused` points were stored as dead letters."""

    writes: int
    points: int
    deleted: int
    refused: int
    expired: int
    revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """Result of replaying the dead letters, and of the publishing after it."""

    written: int
    still_refused: int
    published: PublishReport


Tell = Callable[[PublishReport], None]


def published_bots(counts: pd.DataFrame, *, own: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> tuple[str, ...]:
    """Return the bots whose trades a copy contains: our own, and all others that the record knows (`TradeRepository.counts`).

    A bot whose trades were all deleted is one of them: the copy may still contain some of its trades, which is wrong.
    """
    known = counts[counts["run_mode"].astype(str).isin([mode.value for mode in run_modes])]
    return tuple(dict.fromkeys((*own, *sorted(str(bot) for bot in known["bot"].unique()))))


def publish_learning(
    outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES, tell: Tell = lambda _: None
) -> PublishReport:
    """Publish all pending writes of the outbox, report them to the callback, then remove them.

    A kill in between leaves the outbox unchanged: the same is written again, which changes nothing, and reported again.

    Parameters
    ----------
    tell : callable
        Callback that receives the report, if anything was pending.

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
    """Return the report of a step that found nothing to publish; the copy is equal to a revision of the record."""
    return PublishReport(writes=0, points=0, deleted=0, refused=0, expired=0, revision=revision)


def publish_everything(
    outbox: Outbox, publisher: Publisher, *, bots: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES
) -> PublishReport:
    """Clear the copy and publish the whole record: afterwards it contains what the record contains, and nothing else.

    A kill in between leaves the whole record in the outbox.

    Parameters
    ----------
    bots : sequence of str
        Bots whose trades the copy contains.
    """
    outbox.requeue()
    publisher.clear(bots=bots)
    return publish_learning(outbox, publisher, run_modes=run_modes)


def replay_dead_letters(outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> ReplayReport:
    """Write the dead letters again, then all that was written to the record since: an old letter must not replace a newer value."""
    replayed = publisher.replay_dead_letters()
    if replayed.since is not None:
        outbox.requeue(since=replayed.since)
    return ReplayReport(
        written=replayed.written,
        still_refused=replayed.still_refused,
        published=publish_learning(outbox, publisher, run_modes=run_modes),
    )
