"""Publish what the record holds and its copy does not: a step of its own, which no learning waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot3.ports.publisher import Outbox, Publisher
from bot3.trading.trades import RunMode

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_MODES = (RunMode.PAPER, RunMode.LIVE)
"""Trades of these modes are published; backtest history stays where it was made, and is never mixed with what bots did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """What was published, and the record's revision up to which; `refused` points wait in the dead letters."""

    writes: int
    points: int
    deleted: int
    refused: int
    expired: int
    revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What became of the dead letters, and what was published after them."""

    written: int
    still_refused: int
    published: PublishReport


Tell = Callable[[PublishReport], None]


def published_bots(counts: pd.DataFrame, *, own: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> tuple[str, ...]:
    """Return whose trades a copy holds: our own bots', and those of whoever else the record knows (`TradeRecord.counts`).

    A bot whose trades were all deleted is one of them: what a copy still says of it is wrong.
    """
    known = counts[counts["run_mode"].astype(str).isin([mode.value for mode in run_modes])]
    return tuple(dict.fromkeys((*own, *sorted(str(bot) for bot in known["bot"].unique()))))


def publish_learning(
    outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES, tell: Tell = lambda _: None
) -> PublishReport:
    """Publish everything that waits in the outbox, tell it, then forget it.

    A kill in between leaves the outbox as it was: the same is written again, which changes nothing, and told again.

    Parameters
    ----------
    tell : callable
        Hears what was published, if anything waited.

    Raises
    ------
    StoreBusyError
        If a server cannot be reached in time; what waits goes on waiting.
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
    """Return the report of a step that found nothing to publish, the copy being up to a revision of the record."""
    return PublishReport(writes=0, points=0, deleted=0, refused=0, expired=0, revision=revision)


def publish_everything(
    outbox: Outbox, publisher: Publisher, *, bots: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES
) -> PublishReport:
    """Empty the copy and publish the whole record: afterwards it holds what the record holds, and nothing else.

    A kill in between leaves the whole record in the outbox.

    Parameters
    ----------
    bots : sequence of str
        Whose trades the copy holds.
    """
    outbox.requeue()
    publisher.clear(bots=bots)
    return publish_learning(outbox, publisher, run_modes=run_modes)


def replay_dead_letters(outbox: Outbox, publisher: Publisher, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> ReplayReport:
    """Write the dead letters again, then all that was written to the record since: an old letter must not hide a newer value."""
    replayed = publisher.replay_dead_letters()
    if replayed.since is not None:
        outbox.requeue(since=replayed.since)
    return ReplayReport(
        written=replayed.written,
        still_refused=replayed.still_refused,
        published=publish_learning(outbox, publisher, run_modes=run_modes),
    )
