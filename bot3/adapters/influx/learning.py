"""Read published learning from InfluxDB: only complete publications of one record and epoch, as of a market time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot3.adapters.influx.line_protocol import instant_of_ns
from bot3.adapters.influx.points import (
    BY_HORIZON,
    BY_PAIR,
    PARAMETER_KINDS,
    PARAMETER_TAGS,
    RECOMMENDATION_KINDS,
    RECOMMENDATIONS,
    REGIME_KINDS,
    REGIMES,
    SCORE_KINDS,
    SCORE_TAGS,
    SCORES,
)
from bot3.adapters.influx.publications import InfluxPublications, Manifest, Point, incomplete, require_complete
from bot3.adapters.influx.rows import parameter_values, recommendation_of, score_of, state_of
from bot3.adapters.influx.server import InfluxServer
from bot3.errors import LearningError
from bot3.learning.validity import parameter_set, refusing
from bot3.market.regimes import RegimeState
from bot3.ports.publisher import Head, Origin, PublicationKind
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation


class InfluxParameters:
    """Reads parameters.

    Parameters
    ----------
    remembers : bool
        Cache the rows that were read, and fetch only later ones (as in `InfluxLearning`).
    """

    def __init__(self, publications: InfluxPublications, *, remembers: bool) -> None:
        self._publications, self._remembers = publications, remembers
        self._held: tuple[int, int, list[Point]] | None = None

    @refusing
    def as_of(self, at: datetime) -> ParameterSet:
        """Return the parameters in force: the newest row of each group, from the last full publication on."""
        newest = self._publications.newest(PublicationKind.PARAMETERS, at=at, what="no parameters were published")
        first_ns = int(newest.says["full_ns"])
        heads = self._publications.heads_between(PublicationKind.PARAMETERS, first_ns, newest.at_ns)
        if not heads or heads[0].at_ns != first_ns:
            raise LearningError("the parameters that the newest ones are based on are missing in InfluxDB: run `bot3 publish run --all`")
        full_ns = max((head.at_ns for head in heads if head.says["is_full"]), default=heads[0].at_ns)
        in_force = [head for head in heads if head.at_ns >= full_ns]
        points = self._parameter_points(full_ns, newest.at_ns, in_force)
        complete = {head.at_ns for head in in_force}
        return _set_of(newest, [parameter_values(values) for at_ns, values in sorted(points, key=_time) if at_ns in complete])

    def _parameter_points(self, first: int, last: int, heads: Sequence[Manifest]) -> list[Point]:
        points: list[Point] = []
        if self._held is not None and self._held[0] == first and self._held[1] <= last:
            points = [*self._held[2], *self._rows(self._held[1] + 1, last, heads)]
        # A publication that was written late, before the cached span, lacks rows in the cache: then all rows are read again.
        if not points or incomplete(points, heads):
            points = self._rows(first, last, heads)
        require_complete(points, heads, what="parameters")
        if self._remembers:
            complete = {head.at_ns for head in heads}
            self._held = (first, last, [point for point in points if point[0] in complete])
        return points

    def _rows(self, first: int, last: int, heads: Sequence[Manifest]) -> list[Point]:
        """Return the rows of a span; those of other horizons are requested only if a head says that there are some."""
        measurements = (BY_PAIR, BY_HORIZON) if any(head.other_rows for head in heads if head.at_ns >= first) else (BY_PAIR,)
        return [
            point
            for measurement in measurements
            for point in self._publications.points(measurement, PARAMETER_TAGS, PARAMETER_KINDS, start=first, stop=last)
        ]


class InfluxFeederScores:
    """Reads feeder scores."""

    def __init__(self, publications: InfluxPublications) -> None:
        self._publications = publications

    @refusing
    def as_of(self, at: datetime) -> tuple[FeederScore, ...]:
        """Return the scores of the newest publication, sorted by regime and rank."""
        newest = self._publications.newest(PublicationKind.FEEDER_SCORES, at=at, what="no feeder scores were published")
        points = self._publications.points(SCORES, SCORE_TAGS, SCORE_KINDS, start=newest.at_ns, stop=newest.at_ns)
        require_complete(points, [newest], what="feeder scores")
        scores = [score_of(values) for _, values in points]
        return tuple(sorted(scores, key=lambda score: (score.regime, score.rank, score.feeder_id)))


class InfluxRegimes:
    """Reads regime states."""

    def __init__(self, publications: InfluxPublications) -> None:
        self._publications = publications

    @refusing
    def as_of(self, at: datetime) -> RegimeState:
        """Return the regime state in force."""
        newest = self._publications.newest(PublicationKind.REGIME, at=at, what="no regime was known")
        return state_of(self._publications.single(REGIMES, REGIME_KINDS, newest), known_at=instant_of_ns(newest.at_ns))


class InfluxRecommendations:
    """Reads recommendations."""

    def __init__(self, publications: InfluxPublications) -> None:
        self._publications = publications

    @refusing
    def as_of(self, at: datetime) -> Recommendation:
        """Return the newest recommendation."""
        newest = self._publications.newest(PublicationKind.RECOMMENDATION, at=at, what="nothing was recommended")
        row = self._publications.single(RECOMMENDATIONS, RECOMMENDATION_KINDS, newest)
        return recommendation_of(row, known_at=instant_of_ns(newest.at_ns))


class InfluxLearning:
    """A `LearningReader` of an InfluxDB bucket.

    A publication is found by its head, a point that is written after all its rows. If rows are missing nevertheless (deleted by hand, or
    older than the bucket's retention), a LearningError is raised: a publication is never returned in part.

    Parameters
    ----------
    origin : callable
        Returns the record and epoch whose publications are read; those of another record, or of an epoch before a restore, are skipped.
    remembers : bool
        Cache the parameter rows that were read, and fetch only later ones: for a single thread that polls for new publications. A reader
        that compares the copy with the record must set it to false.
    """

    def __init__(self, server: InfluxServer, *, bucket: str, origin: Callable[[], Origin], remembers: bool = False) -> None:
        self._server = server
        self._publications = publications = InfluxPublications(server, bucket=bucket, origin=origin)
        self.parameters = InfluxParameters(publications, remembers=remembers)
        self.feeder_scores = InfluxFeederScores(publications)
        self.regimes = InfluxRegimes(publications)
        self.recommendations = InfluxRecommendations(publications)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest market time after a given one at which a publication comes into force; None if none will."""
        return self._publications.next_known_at(after=after)

    def learning_token(self) -> str:
        """Return a token that changes with every publication newer than the others of its kind: the epoch and each kind's newest head."""
        return self._publications.token()

    def heads(self) -> frozenset[Head]:
        """Return the head of every publication in the bucket, of any record and epoch."""
        return self._publications.heads()


def _time(point: Point) -> int:
    return point[0]


def _set_of(head: Manifest, rows: Iterable[Mapping[str, Any]]) -> ParameterSet:
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
