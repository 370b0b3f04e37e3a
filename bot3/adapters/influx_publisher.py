"""Publishes the record to InfluxDB: what is gone first, then rows, then heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import structlog

from bot3.adapters.influx_buckets import InfluxBuckets
from bot3.adapters.influx_dead_letters import DeadLetter, DeadLetters
from bot3.adapters.influx_lines import batches, point_ns
from bot3.adapters.influx_points import (
    TRADES,
    Points,
    gone_points,
    parameter_points,
    recommendation_points,
    regime_points,
    score_points,
    trade_lines,
    trade_times,
)
from bot3.adapters.influx_server import InfluxServer, RefusedLinesError
from bot3.ports.publisher import Pending, Published, Replayed

_BUNDLE = 5_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """Points that are written, or refused, together."""

    bucket: str
    rows: tuple[str, ...]
    heads: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.heads)


class InfluxPublisher:
    """A `Publisher`."""

    def __init__(self, server: InfluxServer, *, buckets: InfluxBuckets, letters: DeadLetters, wall_now: Callable[[], datetime]) -> None:
        self._server, self._buckets, self._letters, self._wall_now = server, buckets, letters, wall_now
        self._known: set[str] = set()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Create the buckets that are missing, with their retention; return their names."""
        lives = {self._buckets.of_bot(bot): self._buckets.trades_life for bot in bots}
        lives[self._buckets.learning] = self._buckets.learning_life
        there = self._server.buckets()
        missing = sorted(set(lives) - set(there))
        for name in missing:
            self._server.create_bucket(name, keep_s=round(lives[name].total_seconds()))
            log.info("bucket_created", bucket=name, keeps_s=round(lives[name].total_seconds()))
        self._known |= set(lives)
        return tuple(missing)

    def publish(self, pending: Pending) -> Published:
        """Delete what is gone, write rows, then heads; what is refused for good is kept in the dead letters."""
        self._prepare_for(pending)
        deleted = self._delete(pending)
        bundles, expired = self._bundles(pending)
        refused = self._write(bundles, since=pending.span.since)
        written = sum(bundle.size for bundle in bundles) - refused
        return Published(points=written, deleted=deleted, refused=refused, expired=expired)

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are still refused stay, with what the server says now."""
        letters = self._letters.read()
        kept, written = [], 0
        for letter in letters:
            bundle = _Bundle(bucket=letter.bucket, rows=letter.rows, heads=letter.heads)
            reason = self._refusal(bundle)
            written += 0 if reason else bundle.size
            if reason:
                kept.append(DeadLetter(bucket=letter.bucket, rows=letter.rows, heads=letter.heads, since=letter.since, reason=reason))
        if letters:
            self._letters.replace(kept)
        still = sum(len(letter.rows) + len(letter.heads) for letter in kept)
        replayed = [letter.since for letter in letters]
        return Replayed(written=written, still_refused=still, since=min(replayed, default=None))

    def _prepare_for(self, pending: Pending) -> None:
        bots = sorted({str(bot) for frame in (pending.trades, pending.gone) for bot in frame["bot"].unique()})
        if not {self._buckets.learning, *map(self._buckets.of_bot, bots)} <= self._known:
            self.prepare(bots=bots)

    def _delete(self, pending: Pending) -> int:
        deleted = 0
        for bot, tags, at_ns in gone_points(pending.gone):
            self._server.delete(self._buckets.of_bot(bot), measurement=TRADES, tags=tags, at_ns=at_ns)
            deleted += 1
        return deleted

    def _bundles(self, pending: Pending) -> tuple[list[_Bundle], int]:
        now = self._wall_now()
        oldest = self._buckets.kept_since(now, trades=False)
        points = list(_publications(pending))
        kept = [one for one in points if oldest is None or one.at_ns >= point_ns(oldest, 0)]
        trades, expired = self._trades(pending, now=now)
        return [*_bundled(kept, bucket=self._buckets.learning), *trades], expired + len(points) - len(kept)

    def _trades(self, pending: Pending, *, now: datetime) -> tuple[list[_Bundle], int]:
        oldest = self._buckets.kept_since(now, trades=True)
        bundles, expired = [], 0
        for bot, trades in _by_bot(pending.trades):
            kept = trades if oldest is None else trades[trade_times(trades) >= point_ns(oldest, 0)]
            expired += len(trades) - len(kept)
            bucket = self._buckets.of_bot(bot)
            bundles += [_Bundle(bucket=bucket, rows=tuple(batch)) for batch in batches(trade_lines(kept), _BUNDLE)]
        return bundles, expired

    def _write(self, bundles: Iterable[_Bundle], *, since: int) -> int:
        refused = 0
        for bundle in bundles:
            reason = self._refusal(bundle)
            if reason:
                # Kept at once: a server that goes away during the next bundle must not lose this one.
                self._letters.append([DeadLetter(bucket=bundle.bucket, rows=bundle.rows, heads=bundle.heads, since=since, reason=reason)])
                log.error("points_refused", bucket=bundle.bucket, points=bundle.size, reason=reason)
                refused += bundle.size
        return refused

    def _refusal(self, bundle: _Bundle) -> str:
        """Write a bundle, its heads last; return why it was refused, nothing if it was not."""
        try:
            self._server.write(bundle.bucket, bundle.rows)
            self._server.write(bundle.bucket, bundle.heads)
        except RefusedLinesError as error:
            return str(error)
        return ""


def _by_bot(trades: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    bots = sorted(map(str, trades["bot"].unique()))
    for bot in bots:
        yield bot, trades if len(bots) == 1 else trades[trades["bot"] == bot]


def _publications(pending: Pending) -> Iterator[Points]:
    yield from map(parameter_points, pending.parameters)
    yield from map(score_points, pending.scores)
    yield from map(regime_points, pending.regimes)
    yield from map(recommendation_points, pending.recommendations)


def _bundled(points: Sequence[Points], *, bucket: str) -> Iterator[_Bundle]:
    """Yield whole publications together, as many as fit."""
    rows: list[str] = []
    heads: list[str] = []
    for one in points:
        if rows and len(rows) + len(one.rows) > _BUNDLE:
            yield _Bundle(bucket=bucket, rows=tuple(rows), heads=tuple(heads))
            rows, heads = [], []
        rows += one.rows
        heads.append(one.head)
    if heads:
        yield _Bundle(bucket=bucket, rows=tuple(rows), heads=tuple(heads))
