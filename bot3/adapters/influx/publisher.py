"""Publish the record to InfluxDB: deletions first, then rows, then heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pandas as pd
import structlog

from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.adapters.influx.dead_letters import DeadLetter, DeadLetters, Tombstone
from bot3.adapters.influx.line_protocol import UnwritableError, point_ns
from bot3.adapters.influx.points import (
    BY_BIN,
    BY_HORIZON,
    BY_PAIR,
    HEADS,
    RECOMMENDATIONS,
    REGIMES,
    SCORES,
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
from bot3.adapters.influx.server import InfluxServer, RefusedLinesError
from bot3.ports.publisher import Pending, Published, Replayed

_BUNDLE = 5_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """Points that are written or refused together.

    Parameters
    ----------
    publications : tuple of Points
        The publications of the bundle; none for trades, where each row is a point of its own, and for dead letters.
    problem : str
        The reason why no point can represent the content; empty if one can.
    """

    bucket: str
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    publications: tuple[Points, ...] = ()
    problem: str = ""

    @classmethod
    def of(cls, publications: Sequence[Points], *, bucket: str) -> _Bundle:
        """Return a bundle of several publications."""
        rows = tuple(row for one in publications for row in one.rows)
        return cls(bucket=bucket, rows=rows, heads=tuple(one.head for one in publications), publications=tuple(publications))

    @property
    def size(self) -> int:
        """Return the number of points in the bundle; a problem counts as one."""
        return len(self.rows) + len(self.heads) + bool(self.problem)

    def parts(self) -> tuple[_Bundle, ...]:
        """Return two halves that can be written independently; an empty tuple if the bundle cannot be split."""
        parts = self.publications or (() if self.heads else self.rows)
        if len(parts) < 2:
            return ()
        middle = len(parts) // 2
        if self.publications:
            halves = self.publications[:middle], self.publications[middle:]
            return tuple(_Bundle.of(half, bucket=self.bucket) for half in halves)
        return tuple(replace(self, rows=half) for half in (self.rows[:middle], self.rows[middle:]))


class InfluxPublisher:
    """A `Publisher` to InfluxDB."""

    def __init__(self, server: InfluxServer, *, buckets: InfluxBuckets, letters: DeadLetters, wall_now: Callable[[], datetime]) -> None:
        self._server, self._buckets, self._letters, self._wall_now = server, buckets, letters, wall_now
        self._known: set[str] = set()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def connections(self) -> int:
        """Send a request and return how many connections this process has opened so far; a lost connection is opened again for it."""
        return self._server.connections()

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Create the missing buckets with their retention; return their names."""
        lives = {self._buckets.of_bot(bot): self._buckets.trades_life for bot in bots}
        lives[self._buckets.learning] = self._buckets.learning_life
        there = self._server.buckets(lives)
        missing = sorted(set(lives) - set(there))
        for name in missing:
            self._server.create_bucket(name, keep_s=round(lives[name].total_seconds()))
            log.info("bucket_created", bucket=name, keeps_s=round(lives[name].total_seconds()))
        self._known |= set(lives)
        return tuple(missing)

    def clear(self, *, bots: Sequence[str]) -> None:
        """Delete all published learning, the trades of some bots, and the dead letters; the record can publish all of it again."""
        self.prepare(bots=bots)
        # Heads first: readers ignore rows without a head.
        for measurement in (HEADS, BY_PAIR, BY_HORIZON, BY_BIN, SCORES, REGIMES, RECOMMENDATIONS):
            self._server.delete_measurement(self._buckets.learning, measurement)
        for bot in bots:
            self._server.delete_measurement(self._buckets.of_bot(bot), TRADES)
        self._letters.replace(())
        log.info("copy_cleared", bucket=self._buckets.learning, bots=list(bots))

    def publish(self, pending: Pending) -> Published:
        """Delete the outdated points of changed and deleted trades, then write rows, then heads; rejected points become dead letters."""
        self._prepare_for(pending)
        deleted, undeleted = self._delete(pending)
        bundles, expired = self._bundles(pending)
        refused = self._write(bundles, since=pending.span.since)
        written = sum(bundle.size for bundle in bundles) - refused
        return Published(points=written, deleted=deleted, refused=refused + undeleted, expired=expired)

    def replay_dead_letters(self) -> Replayed:
        """Write the dead letters again; those that are rejected again remain, with the server's new reason."""
        letters = self._letters.read()
        kept: list[DeadLetter] = []
        replayed: list[int] = []
        for letter in letters:
            refused = self._refused_again(letter)
            kept += refused
            # A letter without points is created again, if it still applies, when the record's writes since its revision are published.
            if sum(one.size for one in refused) < letter.size or not letter.size:
                replayed.append(letter.since)
        if letters:
            self._letters.replace(kept)
        still = sum(letter.size for letter in kept)
        written = sum(letter.size for letter in letters) - still
        return Replayed(written=written, still_refused=still, since=min(replayed, default=None))

    def _prepare_for(self, pending: Pending) -> None:
        bots = sorted({str(bot) for frame in (pending.trades, pending.gone) for bot in frame["bot"].unique()})
        if not {self._buckets.learning, *map(self._buckets.of_bot, bots)} <= self._known:
            self.prepare(bots=bots)

    def _delete(self, pending: Pending) -> tuple[int, int]:
        """Delete the points of moved and removed trades; return how many were deleted, and how many deletions became dead letters."""
        deleted, refused = 0, 0
        for bot, tags, at_ns in gone_points(pending.gone):
            bucket, gone = self._buckets.of_bot(bot), Tombstone(measurement=TRADES, tags=tags, at_ns=at_ns)
            reason = self._refused_delete(bucket, gone)
            if reason:
                self._keep(DeadLetter(bucket=bucket, gone=(gone,), since=pending.span.since, reason=reason))
            deleted, refused = deleted + (not reason), refused + bool(reason)
        return deleted, refused

    def _refused_delete(self, bucket: str, gone: Tombstone) -> str:
        """Delete a point; return the reason if the server rejects that, otherwise an empty text."""
        try:
            self._server.delete(bucket, measurement=gone.measurement, tags=gone.tags, at_ns=gone.at_ns)
        except RefusedLinesError as error:
            return str(error)
        return ""

    def _bundles(self, pending: Pending) -> tuple[list[_Bundle], int]:
        now, bucket = self._wall_now(), self._buckets.learning
        oldest = self._buckets.kept_since(now, trades=False)
        points, unwritable = _publications(pending, bucket=bucket)
        kept = [one for one in points if oldest is None or one.at_ns >= point_ns(oldest, 0)]
        trades, expired = self._trades(pending, now=now)
        return [*_bundled(kept, bucket=bucket), *unwritable, *trades], expired + len(points) - len(kept)

    def _trades(self, pending: Pending, *, now: datetime) -> tuple[list[_Bundle], int]:
        oldest = self._buckets.kept_since(now, trades=True)
        bundles: list[_Bundle] = []
        expired = 0
        for bot, trades in _by_bot(pending.trades):
            kept = trades if oldest is None else trades[trade_times(trades) >= point_ns(oldest, 0)]
            expired += len(trades) - len(kept)
            bucket = self._buckets.of_bot(bot)
            for start in range(0, len(kept), _BUNDLE):
                bundles += _trade_bundles(kept.iloc[start : start + _BUNDLE], bucket=bucket)
        return bundles, expired

    def _write(self, bundles: Iterable[_Bundle], *, since: int) -> int:
        refused = 0
        for bundle in bundles:
            for part, reason in self._refusals(bundle):
                # Stored at once, so that this letter is not lost if the server fails during the next bundle.
                self._keep(DeadLetter(bucket=part.bucket, rows=part.rows, heads=part.heads, since=since, reason=reason))
                refused += part.size
        return refused

    def _keep(self, letter: DeadLetter) -> None:
        self._letters.append([letter])
        log.error("points_refused", bucket=letter.bucket, points=letter.size, reason=letter.reason)

    def _refusals(self, bundle: _Bundle) -> Iterator[tuple[_Bundle, str]]:
        """Write a bundle, its heads last; yield the smallest parts that were refused, with the reason."""
        if bundle.problem:
            yield bundle, bundle.problem
            return
        try:
            self._server.write(bundle.bucket, bundle.rows)
            self._server.write(bundle.bucket, bundle.heads)
        except RefusedLinesError as error:
            # The server rejects all lines of a request if it cannot parse one of them.
            parts = bundle.parts() if error.is_whole else ()
            if not parts:
                yield bundle, str(error)
            for part in parts:
                yield from self._refusals(part)

    def _refused_again(self, letter: DeadLetter) -> list[DeadLetter]:
        """Write and delete the points of a letter; return those that are still refused."""
        refused = [(gone, reason) for gone in letter.gone if (reason := self._refused_delete(letter.bucket, gone))]
        written = list(self._refusals(_Bundle(bucket=letter.bucket, rows=letter.rows, heads=letter.heads)))
        return [
            *(DeadLetter(bucket=letter.bucket, gone=(gone,), since=letter.since, reason=reason) for gone, reason in refused),
            *(
                DeadLetter(bucket=part.bucket, rows=part.rows, heads=part.heads, since=letter.since, reason=reason)
                for part, reason in written
            ),
        ]


def _by_bot(trades: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    bots = sorted(map(str, trades["bot"].unique()))
    for bot in bots:
        yield bot, trades if len(bots) == 1 else trades[trades["bot"] == bot]


def _publications(pending: Pending, *, bucket: str) -> tuple[list[Points], list[_Bundle]]:
    """Return the points of all publications, and a bundle without points for each publication that no point can represent."""
    points: list[Points] = []
    unwritable: list[_Bundle] = []
    makers = (
        *(("parameters", partial(parameter_points, one, pending.origin)) for one in pending.parameters),
        *(("feeder scores", partial(score_points, one, pending.origin)) for one in pending.scores),
        *(("a regime state", partial(regime_points, one, pending.origin)) for one in pending.regimes),
        *(("a recommendation", partial(recommendation_points, one, pending.origin)) for one in pending.recommendations),
    )
    for what, make in makers:
        try:
            points.append(make())
        except UnwritableError as error:
            unwritable.append(_Bundle(bucket=bucket, problem=f"{what}: {error}"))
    return points, unwritable


def _trade_bundles(trades: pd.DataFrame, *, bucket: str) -> Iterator[_Bundle]:
    """Yield bundles with the points of some trades, and one without points for each trade that no point can represent."""
    try:
        yield _Bundle(bucket=bucket, rows=tuple(trade_lines(trades)))
    except UnwritableError as error:
        if len(trades) == 1:
            trade = trades.iloc[0]
            yield _Bundle(bucket=bucket, problem=f"trade {trade['trade_id']} of {trade['bot']} {trade['run_mode']}: {error}")
            return
        middle = len(trades) // 2
        yield from _trade_bundles(trades.iloc[:middle], bucket=bucket)
        yield from _trade_bundles(trades.iloc[middle:], bucket=bucket)


def _bundled(points: Sequence[Points], *, bucket: str) -> Iterator[_Bundle]:
    """Yield bundles of whole publications; one has more than 5,000 rows only if it contains a single publication."""
    together: list[Points] = []
    for one in points:
        if together and sum(len(other.rows) for other in together) + len(one.rows) > _BUNDLE:
            yield _Bundle.of(together, bucket=bucket)
            together = []
        together.append(one)
    if together:
        yield _Bundle.of(together, bucket=bucket)
