"""Read published learning from InfluxDB: only complete publications, as of a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot3.adapters.influx.line_protocol import Kind, field_of, instant_of_ns, parse_ns, point_ns, text_of_tag
from bot3.adapters.influx.points import (
    BY_PAIR,
    HEADS,
    PARAMETER_KINDS,
    PARAMETER_TAGS,
    RECOMMENDATION_KINDS,
    RECOMMENDATIONS,
    REGIME_KINDS,
    REGIMES,
    SCORE_KINDS,
    SCORE_TAGS,
    SCORES,
    head_of,
    origin_mark,
    origin_of_manifest,
)
from bot3.adapters.influx.rows import parameter_values, recommendation_of, score_of, state_of
from bot3.adapters.influx.server import InfluxServer
from bot3.errors import LearningError
from bot3.learning.validity import parameter_set, refusing
from bot3.market.regimes import RegimeState
from bot3.ports.publisher import Head, Origin, PublicationKind
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

_Point = tuple[int, dict[str, Any]]
"""Time, then tags and fields of a point."""

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
# Skips publications of other origins: slower than `last()`, so it is queried only if the newest head has another origin.
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
# No column is dropped and nothing is pivoted: the server then only copies, which reduces its load by a third.


@dataclass(frozen=True, slots=True)
class _Manifest:
    """A head as it was read: its point's time and its manifest."""

    at_ns: int
    says: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Return the number of rows of the publication."""
        return int(self.says["rows"])

    def is_of(self, origin: Origin) -> bool:
        """Return whether a record published it in its present epoch."""
        return origin_of_manifest(self.says, own=origin) == origin


class InfluxLearning:
    """A `LearningReader` of an InfluxDB bucket.

    A publication is found by its head, which is written after all its rows. If rows are missing nevertheless (deleted by hand, or older
    than the bucket's retention), a LearningError is raised: no publication is returned in part.

    Parameters
    ----------
    origin : callable
        Returns the record and epoch whose publications are read: those of another record, or of an epoch before a restore, are skipped.
    remembers : bool
        Cache the parameter rows that were read and fetch only later ones: for a single thread that polls for new publications. A reader
        that compares the copy with the record must not cache.
    """

    def __init__(self, server: InfluxServer, *, bucket: str, origin: Callable[[], Origin], remembers: bool = False) -> None:
        self._server, self._bucket, self._origin, self._remembers = server, bucket, origin, remembers
        self._held: tuple[int, int, list[_Point]] | None = None

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    @refusing
    def parameters(self, *, as_of: datetime) -> ParameterSet:
        """Return the parameters in force at a market time: of each group the newest row since the last full publication."""
        newest = self._newest(PublicationKind.PARAMETERS, as_of=as_of, what="no parameters were published")
        first_ns = int(newest.says["full_ns"])
        heads = self._heads_between(PublicationKind.PARAMETERS, first_ns, newest.at_ns)
        if not heads or heads[0].at_ns != first_ns:
            raise LearningError("the parameters that the newest ones are based on are missing in InfluxDB: run `bot3 publish run --all`")
        full_ns = max((head.at_ns for head in heads if head.says["is_full"]), default=heads[0].at_ns)
        in_force = [head for head in heads if head.at_ns >= full_ns]
        points = self._parameter_points(full_ns, newest.at_ns, in_force)
        complete = {head.at_ns for head in in_force}
        return _set_of(newest, [parameter_values(values) for at_ns, values in sorted(points, key=_time) if at_ns in complete])

    @refusing
    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        """Return the scores of the newest publication known by a market time, sorted by regime and rank."""
        newest = self._newest(PublicationKind.FEEDER_SCORES, as_of=as_of, what="no feeder scores were published")
        points = self._points(SCORES, SCORE_TAGS, SCORE_KINDS, start=newest.at_ns, stop=newest.at_ns)
        _require_complete(points, [newest], what="feeder scores")
        scores = [score_of(values) for _, values in points]
        return tuple(sorted(scores, key=lambda score: (score.regime, score.rank, score.feeder_id)))

    @refusing
    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the newest regime state known by a market time."""
        newest = self._newest(PublicationKind.REGIME, as_of=as_of, what="no regime was known")
        return state_of(self._single(REGIMES, REGIME_KINDS, newest), known_at=instant_of_ns(newest.at_ns))

    @refusing
    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation known by a market time, which may be expired."""
        newest = self._newest(PublicationKind.RECOMMENDATION, as_of=as_of, what="nothing was recommended")
        return recommendation_of(self._single(RECOMMENDATIONS, RECOMMENDATION_KINDS, newest), known_at=instant_of_ns(newest.at_ns))

    @refusing
    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest market time after a given one at which a publication of any kind comes into force; None if there is none."""
        start = point_ns(after + _TICK, 0)
        found = self._server.rows(_NEXT, bucket=self._bucket, start=start, stop=_EVER_NS, **_own(self._origin()))
        return min((instant_of_ns(parse_ns(row["_time"])) for row in found), default=None)

    @refusing
    def learning_token(self) -> str:
        """Return a token that changes with every newer publication and with the epoch: the epoch and the newest head of each kind."""
        origin = self._origin()
        found = list(self._server.rows(_NEWEST_OF_ALL, bucket=self._bucket, start=0, stop=_EVER_NS))
        newest = {row["noun"]: _Manifest(parse_ns(row["_time"]), json.loads(row["_value"])) for row in found}
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

    def _parameter_points(self, first: int, last: int, heads: Sequence[_Manifest]) -> list[_Point]:
        points: list[_Point] = []
        if self._held is not None and self._held[0] == first and self._held[1] <= last:
            since = self._points(BY_PAIR, PARAMETER_TAGS, PARAMETER_KINDS, start=self._held[1] + 1, stop=last)
            points = [*self._held[2], *since]
        # A publication that was written late, before the cached span, lacks rows in the cache: then all rows are read again.
        if not points or _lacking(points, heads):
            points = self._points(BY_PAIR, PARAMETER_TAGS, PARAMETER_KINDS, start=first, stop=last)
        _require_complete(points, heads, what="parameters")
        if self._remembers:
            complete = {head.at_ns for head in heads}
            self._held = (first, last, [point for point in points if point[0] in complete])
        return points

    def _newest(self, noun: PublicationKind, *, as_of: datetime, what: str) -> _Manifest:
        origin, stop = self._origin(), point_ns(as_of + _TICK, 0)
        newest = self._manifests(_NEWEST, noun, start=0, stop=stop)
        if not newest:
            raise LearningError(f"{what} by {as_of.isoformat()} in {self._server.shown}: run `bot3 learn run`, then `bot3 publish run`")
        own = newest if newest[-1].is_of(origin) else self._newest_own(noun, origin, stop=stop)
        if not own:
            raise LearningError(
                f"{what} by {as_of.isoformat()} by this record in {self._server.shown}, only by another one or before a restore: "
                "run `bot3 publish run --all`"
            )
        return own[-1]

    def _newest_own(self, noun: PublicationKind, origin: Origin, *, stop: int) -> list[_Manifest]:
        return self._manifests(_NEWEST_OWN, noun, start=0, stop=stop, **_own(origin))

    def _heads_between(self, noun: PublicationKind, first: int, last: int) -> list[_Manifest]:
        origin = self._origin()
        heads = [head for head in self._manifests(_HEADS, noun, start=first, stop=last + 1) if head.is_of(origin)]
        return sorted(heads, key=lambda head: head.at_ns)

    def _manifests(self, flux: str, noun: PublicationKind, *, start: int, stop: int, **params: str | int) -> list[_Manifest]:
        rows = self._server.rows(flux, bucket=self._bucket, noun=noun.value, start=start, stop=stop, **params)
        return [_Manifest(parse_ns(row["_time"]), json.loads(row["_value"])) for row in rows]

    def _single(self, measurement: str, kinds: Mapping[str, Kind], head: _Manifest) -> dict[str, Any]:
        points = self._points(measurement, (), kinds, start=head.at_ns, stop=head.at_ns)
        _require_complete(points, [head], what=measurement)
        return points[0][1]

    def _points(self, measurement: str, tags: Sequence[str], kinds: Mapping[str, Kind], *, start: int, stop: int) -> list[_Point]:
        if start > stop:
            # The server reports an empty range as an error.
            return []
        rows = self._server.rows(_ROWS, bucket=self._bucket, measurement=measurement, start=start, stop=stop + 1)
        return _assembled(rows, tags, kinds)


def _own(origin: Origin) -> dict[str, str | int]:
    """Return the query parameters that select the heads of an origin."""
    return {"own": origin_mark(origin), "own_is_first": 0 if origin.epoch else 1}


def _assembled(rows: Iterable[Mapping[str, str]], tags: Sequence[str], kinds: Mapping[str, Kind]) -> list[_Point]:
    """Join the fields of each point; fields that this release does not know are ignored."""
    points: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row["_time"], *(row[name] for name in tags))
        point = points.setdefault(key, {name: text_of_tag(row[name]) for name in tags})
        if row["_field"] in kinds:
            point[row["_field"]] = field_of(row["_value"], kinds[row["_field"]])
    return [(parse_ns(key[0]), point) for key, point in points.items()]


def _lacking(points: Sequence[_Point], heads: Sequence[_Manifest]) -> tuple[_Manifest, int] | None:
    """Return the first publication with missing or surplus rows, and the number of its rows found; None if all are complete."""
    there: dict[int, int] = {}
    for at_ns, _ in points:
        there[at_ns] = there.get(at_ns, 0) + 1
    return next(((head, there.get(head.at_ns, 0)) for head in heads if there.get(head.at_ns, 0) != head.rows), None)


def _require_complete(points: Sequence[_Point], heads: Sequence[_Manifest], *, what: str) -> None:
    lacking = _lacking(points, heads)
    if lacking is not None:
        head, found = lacking
        version = head.says["version"]
        raise LearningError(f"{what} {version} are incomplete in InfluxDB ({found} of {head.rows} rows): run `bot3 publish run --all`")


def _time(point: _Point) -> int:
    return point[0]


def _set_of(head: _Manifest, rows: Iterable[Mapping[str, Any]]) -> ParameterSet:
    says = head.says
    return parameter_set(
        rows=rows,
        factors=[(name, stop, target) for name, (stop, target) in says["regime_factors"].items()],
        publication={
            "version": says["version"],
            "revision": says["learned_revision"],
            "known_at": instant_of_ns(head.at_ns),
            "computed_at": datetime.fromisoformat(says["computed_at"]),
            "expires_at": datetime.fromisoformat(says["expires_at"]),
        },
    )
