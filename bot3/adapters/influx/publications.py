"""Find the publications of one record and epoch in an InfluxDB bucket by their heads, and read their rows; incomplete ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot3.adapters.influx.line_protocol import Kind, field_of, instant_of_ns, parse_ns, point_ns, text_of_tag
from bot3.adapters.influx.points import HEADS, OTHER_ROWS, head_of, origin_mark, origin_of_manifest
from bot3.adapters.influx.server import InfluxServer
from bot3.errors import LearningError
from bot3.learning.validity import refusing
from bot3.ports.publisher import Head, Origin, PublicationKind

Point = tuple[int, dict[str, Any]]
"""A point's time in nanoseconds since 1970, and its tags and fields by name."""

_EVER_NS = point_ns(datetime(2200, 1, 1, tzinfo=UTC), 0)
_TICK = timedelta(microseconds=1)

_HEADS = f"""
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}" and r.noun == noun)
  |> keep(columns: ["_time", "_value", "noun"])
"""
_NEWEST = f"""
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}" and r.noun == noun)
  |> last()
  |> keep(columns: ["_time", "_value", "noun"])
"""
# Skips publications of other records and epochs; slower than `_NEWEST`, so it is used only if the newest head is of another one.
_NEWEST_OWN = f"""
import "strings"
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}" and r.noun == noun)
  |> filter(fn: (r) => strings.containsStr(v: r._value, substr: own)
      or (own_is_first == 1 and not strings.containsStr(v: r._value, substr: "\\"origin\\":")))
  |> last()
  |> keep(columns: ["_time", "_value", "noun"])
"""
_NEWEST_OF_ALL = f"""
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}")
  |> last()
  |> keep(columns: ["_time", "_value", "noun"])
"""
_ALL_HEADS = f"""
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}")
  |> keep(columns: ["_time", "_value", "noun"])
"""
_NEXT = f"""
import "strings"
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{HEADS}")
  |> filter(fn: (r) => strings.containsStr(v: r._value, substr: own)
      or (own_is_first == 1 and not strings.containsStr(v: r._value, substr: "\\"origin\\":")))
  |> first()
  |> keep(columns: ["_time", "_value", "noun"])
"""
_ROWS = """
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == measurement)
"""
# No column is dropped and nothing is pivoted: then the server only copies data, which reduces its load by a third.


@dataclass(frozen=True, slots=True)
class Manifest:
    """A head as it was read: its time in nanoseconds since 1970, and its manifest, a parsed JSON object."""

    at_ns: int
    says: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Return the number of rows of the publication, those of other horizons included."""
        return int(self.says["rows"]) + self.other_rows

    @property
    def other_rows(self) -> int:
        """Return the number of parameter rows of horizons other than 24 h; 0 for other kinds of publications."""
        return int(self.says.get(OTHER_ROWS, 0))

    def is_of(self, origin: Origin) -> bool:
        """Return whether the publication is of a record and epoch."""
        return origin_of_manifest(self.says, own=origin) == origin


class InfluxPublications:
    """Reads the publications of one record and epoch in a bucket.

    A publication is found by its head, a point that is written after all its rows; if rows are missing nevertheless (deleted by hand, or
    older than the bucket's retention), a LearningError is raised: a publication is never returned in part.

    Parameters
    ----------
    origin : callable
        Returns the record and epoch whose publications are read; those of another record, or of an epoch before a restore, are skipped.
    """

    def __init__(self, server: InfluxServer, *, bucket: str, origin: Callable[[], Origin]) -> None:
        self._server, self._bucket, self._origin = server, bucket, origin

    @refusing
    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest market time after a given one at which a publication comes into force; None if none will."""
        start = point_ns(after + _TICK, 0)
        found = self._server.rows(_NEXT, bucket=self._bucket, start=start, stop=_EVER_NS, **_own(self._origin()))
        return min((instant_of_ns(parse_ns(row["_time"])) for row in found), default=None)

    @refusing
    def token(self) -> str:
        """Return a token that changes with every publication newer than the others of its kind: the epoch and each kind's newest head."""
        origin = self._origin()
        found = list(self._server.rows(_NEWEST_OF_ALL, bucket=self._bucket, start=0, stop=_EVER_NS))
        newest = {row["noun"]: Manifest(parse_ns(row["_time"]), json.loads(row["_value"])) for row in found}
        heads = []
        for noun, head in sorted(newest.items()):
            if noun not in set(PublicationKind):
                continue
            own = [head] if head.is_of(origin) else self._newest_own(PublicationKind(noun), origin, stop=_EVER_NS)
            heads += [f"{noun}@{one.at_ns}#{one.says['seq']}" for one in own]
        return " ".join([origin.epoch, *heads])

    @refusing
    def heads(self) -> frozenset[Head]:
        """Return the head of every publication in the bucket, of any record and epoch."""
        own = self._origin()
        found = self._server.rows(_ALL_HEADS, bucket=self._bucket, start=0, stop=_EVER_NS)
        return frozenset(head_of(row["noun"], instant_of_ns(parse_ns(row["_time"])), row["_value"], own=own) for row in found)

    def newest(self, noun: PublicationKind, *, at: datetime, what: str) -> Manifest:
        """Return the newest head of a kind that is in force at a market time.

        Raises LearningError, whose text begins with `what`, if there is none.
        """
        origin, stop = self._origin(), point_ns(at + _TICK, 0)
        newest = self._manifests(_NEWEST, noun, start=0, stop=stop)
        if not newest:
            raise LearningError(f"{what} by {at.isoformat()} in {self._server.shown}: run `bot3 learn run`, then `bot3 publish run`")
        own = newest if newest[-1].is_of(origin) else self._newest_own(noun, origin, stop=stop)
        if not own:
            raise LearningError(
                f"{what} by {at.isoformat()} by this record in {self._server.shown}, only by another one or before a restore: "
                "run `bot3 publish run --all`"
            )
        return own[-1]

    def heads_between(self, noun: PublicationKind, first: int, last: int) -> list[Manifest]:
        """Return the heads of a kind between two times in nanoseconds since 1970, both included, oldest first."""
        origin = self._origin()
        heads = [head for head in self._manifests(_HEADS, noun, start=first, stop=last + 1) if head.is_of(origin)]
        return sorted(heads, key=lambda head: head.at_ns)

    def single(self, measurement: str, kinds: Mapping[str, Kind], head: Manifest) -> dict[str, Any]:
        """Return the fields of a publication that has one row. Raises LearningError if the row is missing."""
        points = self.points(measurement, (), kinds, start=head.at_ns, stop=head.at_ns)
        require_complete(points, [head], what=measurement)
        return points[0][1]

    def points(self, measurement: str, tags: Sequence[str], kinds: Mapping[str, Kind], *, start: int, stop: int) -> list[Point]:
        """Return the points of a measurement between two times in nanoseconds since 1970, both included."""
        if start > stop:
            # The server reports an empty range as an error.
            return []
        rows = self._server.rows(_ROWS, bucket=self._bucket, measurement=measurement, start=start, stop=stop + 1)
        return _assembled(rows, tags, kinds)

    def _newest_own(self, noun: PublicationKind, origin: Origin, *, stop: int) -> list[Manifest]:
        return self._manifests(_NEWEST_OWN, noun, start=0, stop=stop, **_own(origin))

    def _manifests(self, flux: str, noun: PublicationKind, *, start: int, stop: int, **params: str | int) -> list[Manifest]:
        rows = self._server.rows(flux, bucket=self._bucket, noun=noun.value, start=start, stop=stop, **params)
        return [Manifest(parse_ns(row["_time"]), json.loads(row["_value"])) for row in rows]


def _own(origin: Origin) -> dict[str, str | int]:
    """Return the query parameters that select the heads of an origin."""
    return {"own": origin_mark(origin), "own_is_first": 0 if origin.epoch else 1}


def _assembled(rows: Iterable[Mapping[str, str]], tags: Sequence[str], kinds: Mapping[str, Kind]) -> list[Point]:
    """Join the rows of a query's response, one for each field, to points; fields that are not in `kinds` are left out."""
    points: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row["_time"], *(row[name] for name in tags))
        point = points.setdefault(key, {name: text_of_tag(row[name]) for name in tags})
        if row["_field"] in kinds:
            point[row["_field"]] = field_of(row["_value"], kinds[row["_field"]])
    return [(parse_ns(key[0]), point) for key, point in points.items()]


def incomplete(points: Sequence[Point], heads: Sequence[Manifest]) -> tuple[Manifest, int] | None:
    """Return the first publication with missing or surplus rows, and the number of rows found; None if all publications are complete."""
    there: dict[int, int] = {}
    for at_ns, _ in points:
        there[at_ns] = there.get(at_ns, 0) + 1
    return next(((head, there.get(head.at_ns, 0)) for head in heads if there.get(head.at_ns, 0) != head.rows), None)


def require_complete(points: Sequence[Point], heads: Sequence[Manifest], *, what: str) -> None:
    """Raise LearningError if a publication lacks rows, or has surplus ones."""
    lacking = incomplete(points, heads)
    if lacking is not None:
        head, found = lacking
        version = head.says["version"]
        raise LearningError(f"{what} {version} are incomplete in InfluxDB ({found} of {head.rows} rows): run `bot3 publish run --all`")
