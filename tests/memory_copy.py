# ruff: noqa: ARG002  (a copy in memory has the parameters of its port)
"""A published copy in memory: points merge their fields and are identified only by series and time, as in a time series database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import pandas as pd

from bot3.errors import LearningError
from bot3.market.regimes import RegimeState
from bot3.ports.publisher import Head, Origin, ParameterPublication, Pending, PublicationKind, Published, Replayed
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from tests.fate import Fate

_SERIES = ("bot", "run_mode", "pair", "direction", "leverage_bin", "feeder_id", "close_date", "trade_id")
_Place = tuple[Any, ...]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Reads(Generic[_T]):
    """What is in force, of one kind of learning (`InForce`)."""

    read: Callable[[datetime], _T]

    def as_of(self, at: datetime, /) -> _T:
        return self.read(at)


@dataclass
class MemoryCopy:
    """A `Publisher` and a `PublishedCopy`; every request is a step of fate."""

    fate: Fate
    trades: dict[_Place, dict[str, Any]] = field(default_factory=dict)
    rows: dict[tuple[PublicationKind, datetime, int], Any] = field(default_factory=dict)
    known: dict[PublicationKind, dict[tuple[datetime, int], Head]] = field(default_factory=lambda: {noun: {} for noun in PublicationKind})
    closes: int = 0
    restarts: int = 0

    def prepare(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        return ()

    def publish(self, pending: Pending) -> Published:
        for gone in pending.gone.to_dict("records"):
            place = _place(gone)
            self.fate.around(lambda place=place: self.trades.pop(place, None))
        for _, frame in pending.trades.groupby("bot", sort=True):
            self.fate.around(lambda frame=frame: self._merge(frame))
        told = list(_publications(pending))
        self.fate.around(lambda: self.rows.update({(head.noun, head.known_at, head.seq): said for head, said in told}))
        self.fate.around(lambda: [self.known[head.noun].update({(head.known_at, head.seq): head}) for head, _ in told])
        return Published(points=len(pending.trades) + len(told), deleted=len(pending.gone), refused=0, expired=0)

    def clear(self, *, bots: Sequence[str]) -> None:
        def cleared() -> None:
            self.trades.clear()
            self.rows.clear()
            self.known = {noun: {} for noun in PublicationKind}

        self.fate.around(cleared)

    def replay_dead_letters(self) -> Replayed:
        return Replayed(written=0, still_refused=0, since=None)

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        return ()

    def heads(self) -> frozenset[Head]:
        return frozenset(head for heads in self.known.values() for head in heads.values())

    def trade_digests(self, bot: str) -> pd.DataFrame:
        own = [point for place, point in self.trades.items() if place[0] == bot]
        return pd.DataFrame(own, columns=["run_mode", "trade_id", "open_date", "digest"])

    def connections(self) -> int:
        return self.restarts

    def close(self) -> None:
        self.closes += 1

    def kept_since(self, *, trades: bool) -> datetime | None:
        return None

    @property
    def parameters(self) -> Reads[ParameterSet]:
        return Reads(self._parameters)

    @property
    def feeder_scores(self) -> Reads[tuple[FeederScore, ...]]:
        return Reads(lambda at: self._newest(PublicationKind.FEEDER_SCORES, at).scores)

    @property
    def regimes(self) -> Reads[RegimeState]:
        return Reads(lambda at: self._newest(PublicationKind.REGIME, at))

    @property
    def recommendations(self) -> Reads[Recommendation]:
        return Reads(lambda at: self._newest(PublicationKind.RECOMMENDATION, at).recommendation)

    def _parameters(self, as_of: datetime) -> ParameterSet:
        newest: ParameterPublication = self._newest(PublicationKind.PARAMETERS, as_of)
        rows: dict[str, Any] = {}
        for place in sorted(self.known[PublicationKind.PARAMETERS]):
            said: ParameterPublication = self.rows[PublicationKind.PARAMETERS, *place]
            if (newest.full_known_at, newest.full_seq) <= place <= (newest.parameters.known_at, newest.seq):
                rows |= said.parameters.rows
        return replace(newest.parameters, rows=rows)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        return min((at for heads in self.known.values() for at, _ in heads if at > after), default=None)

    def learning_token(self) -> str:
        return str(sorted((noun.value, max(heads)) for noun, heads in self.known.items() if heads))

    def _newest(self, noun: PublicationKind, as_of: datetime) -> Any:
        known = [place for place in self.known[noun] if place[0] <= as_of]
        if not known:
            raise LearningError(f"no {noun} were published by then")
        return self.rows[noun, *max(known)]

    def _merge(self, frame: pd.DataFrame) -> None:
        for row in frame.to_dict("records"):
            held = {str(name): value for name, value in row.items() if not pd.isna(value)}
            self.trades[_place(row)] = self.trades.get(_place(row), {}) | held


def _place(row: Mapping[Any, Any]) -> _Place:
    return tuple(row[name] for name in _SERIES)


def _publications(pending: Pending) -> Iterator[tuple[Head, Any]]:
    head = partial(_head, origin=pending.origin)
    for one in pending.parameters:
        yield head(PublicationKind.PARAMETERS, one.parameters.known_at, one.seq, one.parameters.version, len(one.parameters.rows)), one
    for scored in pending.scores:
        yield head(PublicationKind.FEEDER_SCORES, scored.known_at, scored.seq, scored.scores[0].version, len(scored.scores)), scored
    for state in pending.regimes:
        yield head(PublicationKind.REGIME, state.known_at, 0, state.version, 1), state
    for made in pending.recommendations:
        yield head(PublicationKind.RECOMMENDATION, made.recommendation.known_at, made.seq, made.recommendation.version, 1), made


def _head(noun: PublicationKind, known_at: datetime, seq: int, version: str, rows: int, *, origin: Origin) -> Head:
    return Head(origin=origin, noun=noun, known_at=known_at, seq=seq, version=version, rows=rows)
