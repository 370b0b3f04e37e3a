"""Compare the copy in InfluxDB with the record: all publications, the newest published values, and trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from bot3.errors import LearningError
from bot3.ports.learning import InForce, LearningReader
from bot3.ports.publisher import Head, PublicationKind, PublishedCopy
from bot3.ports.record import PlatformRecord
from bot3.trading.trades import RunMode
from bot3.usecases.publishing.publish import PUBLISHED_MODES, published_bots

_KEY = ("run_mode", "trade_id", "open_date")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesCheck:
    """Comparison of one bot's trades: how many the record and the copy contain, and the ids of those that differ.

    `missing` are only in the record, `extra` only in the copy, `changed` have other values in the copy.
    """

    record: int
    published: int
    missing: tuple[int, ...]
    extra: tuple[int, ...]
    changed: tuple[int, ...]

    @property
    def is_equal(self) -> bool:
        """Return whether the copy contains exactly the record's trades with the same values, each once."""
        return not (self.missing or self.extra or self.changed) and self.record == self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCheck:
    """Differences between the copy and the record.

    Parameters
    ----------
    missing, extra : tuple of Head
        Publications that only the record, or only the copy, contains.
    differing : tuple of str
        Kinds whose newest published values, expired or not, differ: "parameters", "feeder_scores", "regime", "recommendation".
    trades : mapping
        Bot to the comparison of its trades.
    waiting : int
        Number of writes to the record that were not published yet at the comparison; above 0, a difference may be only a delay.
    """

    missing: tuple[Head, ...]
    extra: tuple[Head, ...]
    differing: tuple[str, ...]
    trades: Mapping[str, TradesCheck]
    waiting: int

    @property
    def is_equal(self) -> bool:
        """Return whether the copy and the record have the same publications, newest values and trades, as far as they were compared."""
        return not (self.missing or self.extra or self.differing) and all(check.is_equal for check in self.trades.values())

    @property
    def lost(self) -> frozenset[str]:
        """Return one text for each item that the copy lacks or contains with other values; items that only the copy has are left out."""
        trades = (f"trade {trade_id} of {bot}" for bot, check in self.trades.items() for trade_id in (*check.missing, *check.changed))
        heads = (f"{head.noun} {head.version} of {head.known_at}" for head in self.missing)
        return frozenset((*heads, *(f"{noun} in force" for noun in self.differing), *trades))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsGap:
    """Numbers of publications that only the record (`missing`) or only the copy (`extra`) contains.

    `missing` is None while writes to the record are not published yet, because a pending publication is not missing.
    """

    missing: int | None
    extra: int


def gap_of_heads(record: PlatformRecord, copy: PublishedCopy) -> HeadsGap:
    """Count the publications that only the record or only the copy contains, without those older than the copy's retention.

    Raises
    ------
    StoreBusyError
        If either cannot be queried.
    """
    # Read the copy first: what is published in between is in the record already.
    since, told = copy.kept_since(trades=False), copy.heads()
    waited = record.outbox.span() is not None
    held = record.outbox.heads()
    is_ahead = waited or record.outbox.span() is not None
    missing = _kept(held, since) - told
    return HeadsGap(missing=None if is_ahead else len(missing), extra=len(_kept(told, since) - held))


def check_published(
    record: PlatformRecord, copy: PublishedCopy, *, bots: Sequence[str], now: datetime, run_modes: Sequence[RunMode] = PUBLISHED_MODES
) -> PublishedCheck:
    """Compare all publications by their heads, the newest published values, and the trades of some run modes by the digests of their rows.

    The newest values are those published by `now`, expired or not. Publications and trades older than the copy's retention are left out.

    Parameters
    ----------
    bots : sequence of str
        Bots that are always compared; every other bot of which the record contains, or has contained, trades of these run modes is too.
    now : datetime
        Market time.

    Raises
    ------
    StoreBusyError
        If either cannot be queried: what was not compared is never reported as equal.
    """
    span = record.outbox.span()
    held, told = _kept(record.outbox.heads(), copy.kept_since(trades=False)), copy.heads()
    trades = record.trades.digests(run_modes=run_modes)
    since = copy.kept_since(trades=True)
    names = sorted(published_bots(record.trades.counts(), own=bots, run_modes=run_modes))
    return PublishedCheck(
        missing=tuple(sorted(held - told, key=_place)),
        extra=tuple(sorted(_kept(told, copy.kept_since(trades=False)) - held, key=_place)),
        differing=_differing(record, copy, now=now),
        trades={name: _compared(_since(trades[trades["bot"] == name], since), copy.trade_digests(name)) for name in names},
        waiting=0 if span is None else span.writes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Heads of all publications of the record and digests of its trades of some run modes, at one time."""

    heads: frozenset[Head]
    trades: pd.DataFrame


def recorded(record: PlatformRecord, *, run_modes: Sequence[RunMode] = PUBLISHED_MODES) -> Recorded:
    """Return the record's publications and trades of some run modes, which the copy must contain once all pending writes are published."""
    return Recorded(heads=record.outbox.heads(), trades=record.trades.digests(run_modes=run_modes))


def find_losses(
    record: PlatformRecord, copy: PublishedCopy, *, before: Recorded, bots: Sequence[str], run_modes: Sequence[RunMode] = PUBLISHED_MODES
) -> PublishedCheck:
    """Compare publications and trades while the record is being written.

    The newest published values are not compared, and trades that only the copy has are not reported.

    Parameters
    ----------
    before : Recorded
        Contents of the record, read before all pending writes were published. Whatever the record still contains of it must be in the copy.

    Raises
    ------
    StoreBusyError
        If either cannot be queried.
    """
    told = copy.heads()
    names = sorted(published_bots(record.trades.counts(), own=bots, run_modes=run_modes))
    published = {name: copy.trade_digests(name) for name in names}
    span, held, since = record.outbox.span(), record.outbox.heads(), copy.kept_since(trades=True)
    trades = _since(before.trades.merge(record.trades.digests(run_modes=run_modes)), since)
    return PublishedCheck(
        missing=tuple(sorted(_kept(before.heads & held, copy.kept_since(trades=False)) - told, key=_place)),
        extra=tuple(sorted(_kept(told, copy.kept_since(trades=False)) - held, key=_place)),
        differing=(),
        trades={name: replace(_compared(trades[trades["bot"] == name], published[name]), extra=()) for name in names},
        waiting=0 if span is None else span.writes,
    )


def _kept(heads: frozenset[Head], since: datetime | None) -> frozenset[Head]:
    return heads if since is None else frozenset(head for head in heads if head.known_at >= since)


def _place(head: Head) -> tuple[str, datetime, int]:
    return head.noun, head.known_at, head.seq


def _differing(record: LearningReader, copy: LearningReader, *, now: datetime) -> tuple[str, ...]:
    readers: Mapping[str, tuple[InForce[object], InForce[object]]] = {
        PublicationKind.PARAMETERS.value: (record.parameters, copy.parameters),
        PublicationKind.FEEDER_SCORES.value: (record.feeder_scores, copy.feeder_scores),
        PublicationKind.REGIME.value: (record.regimes, copy.regimes),
        PublicationKind.RECOMMENDATION.value: (record.recommendations, copy.recommendations),
    }
    return tuple(noun for noun, (held, told) in readers.items() if _read(held, now=now) != _read(told, now=now))


def _read(reader: InForce[object], *, now: datetime) -> object:
    try:
        return reader.as_of(now)
    except LearningError as error:
        # If nothing is published on one side, or an invalid value, the sides are equal only if the same is true of the other one.
        return type(error)


def _since(trades: pd.DataFrame, since: datetime | None) -> pd.DataFrame:
    return trades if since is None else trades[trades["close_date"] >= since]


def _compared(record: pd.DataFrame, published: pd.DataFrame) -> TradesCheck:
    held, told = _digests(record), _digests(published)
    return TradesCheck(
        record=len(record),
        published=len(published),
        missing=_ids(held.keys() - told.keys()),
        extra=_ids(told.keys() - held.keys()),
        changed=_ids({key for key in held.keys() & told.keys() if held[key] != told[key]}),
    )


def _digests(trades: pd.DataFrame) -> dict[tuple[str, int, datetime], str]:
    keys = zip(*(trades[name].tolist() for name in _KEY), strict=True)
    return dict(zip(keys, trades["digest"].tolist(), strict=True))


def _ids(keys: set[tuple[str, int, datetime]]) -> tuple[int, ...]:
    return tuple(sorted(key[1] for key in keys))
