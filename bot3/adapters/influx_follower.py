"""Published learning for a process that must never wait for a server: read in a thread of its own, the last good copy kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Protocol, Self, TypeVar

import structlog

from bot3.errors import DataError, LearningError, StoreBusyError, StoreError
from bot3.market.regimes import RegimeState
from bot3.ports.record import LearningReader
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

_EVER = datetime(2199, 1, 1, tzinfo=UTC)
_JOIN_S = 5.0

log = structlog.get_logger()


class _Known(Protocol):
    @property
    def known_at(self) -> datetime: ...


_Learned = TypeVar("_Learned", bound=_Known)
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """The newest of everything when its token was read; None where nothing was ever published.

    `is_whole` is false while something is not there, or not all of it: that may change without a new publication.
    """

    token: str
    is_whole: bool
    parameters: ParameterSet | None
    scores: tuple[FeederScore, ...] | None
    regime: RegimeState | None
    recommendation: Recommendation | None


class FollowedLearning:
    """A `LearningReader` on another, followed in a thread: its methods answer at once, from the last good copy.

    A server that is down or slow is asked again and again by the thread alone; what was read before stays until it expires by its
    own word. A publication that is newer than `as_of` is refused, not shown: the caller keeps what it has and looks again.

    Parameters
    ----------
    now : callable
        The market's time: where the newest publication is not known yet, the newest that is known is held.
    poll_s : float
        Wall seconds between two looks; after a failure ten times as long.
    first_wait_s : float
        How long the first question waits for the first copy, at most.
    """

    def __init__(self, reader: LearningReader, *, now: Callable[[], datetime], poll_s: float, first_wait_s: float) -> None:
        self._reader, self._now, self._poll_s, self._first_wait_s = reader, now, poll_s, first_wait_s
        self._snapshot: _Snapshot | None = None
        self._looked, self._stop = Event(), Event()
        self._failure: DataError | None = None
        self._is_started = False
        self._thread = Thread(target=self._follow, name="learning", daemon=True)

    def start(self) -> Self:
        """Follow from now on."""
        self._thread.start()
        self._is_started = True
        return self

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_JOIN_S)

    def parameters(self, *, as_of: datetime) -> ParameterSet:
        """Return the newest parameters. Raises LearningError if they were not known by then."""
        return _known_by(self._held().parameters, as_of, what="parameters")

    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        """Return the newest scores. Raises LearningError if they were not known by then."""
        scores = self._held().scores
        if scores is None or max(score.known_at for score in scores) > as_of:
            raise LearningError(f"no feeder scores were published by {as_of.isoformat()}: run `bot3 learn run`")
        return scores

    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the newest regime state. Raises LearningError if it was not known by then."""
        return _known_by(self._held().regime, as_of, what="regime")

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation. Raises LearningError if it was not known by then."""
        return _known_by(self._held().recommendation, as_of, what="recommendation")

    def learning_token(self) -> str:
        """Return the token of the copy that is held.

        Raises
        ------
        StoreBusyError
            If nothing could be read yet.
        StoreError
            If the thread that follows has ended: a bug, which must not look like a quiet server.
        """
        if self._is_started and not self._thread.is_alive():
            raise StoreError("nobody follows the published learning any more: restart this process, and send its log")
        return self._held().token

    def look(self) -> bool:
        """Read what is new, as the thread does by itself; return whether everything was there."""
        last = self._snapshot
        try:
            token = self._reader.learning_token()
            if last is None or not last.is_whole or token != last.token:
                self._snapshot = last = self._read(token)
        except DataError as error:
            if str(error) != str(self._failure):
                log.warning("learning_not_read", error=str(error), keeps=None if last is None else last.token)
            self._failure = error
            return False
        if self._failure is not None:
            log.info("learning_read_again", token=token)
            self._failure = None
        return last.is_whole

    def _held(self) -> _Snapshot:
        if self._snapshot is None:
            self._looked.wait(self._first_wait_s)
        if self._snapshot is None:
            raise StoreBusyError("published learning could not be read yet: wait") from self._failure
        return self._snapshot

    def _follow(self) -> None:
        while not self._stop.is_set():
            is_well = self.look()
            self._looked.set()
            self._stop.wait(self._poll_s if is_well else self._poll_s * 10.0)

    def _read(self, token: str) -> _Snapshot:
        # The token was read first: what is published in between changes it, and is read at the next look.
        found = _Newest(self._reader, now=self._now())
        last = self._snapshot
        parameters = found.of("parameters", None if last is None else last.parameters)
        scores = found.of("feeder_scores", None if last is None else last.scores)
        regime = found.of("regime", None if last is None else last.regime)
        recommendation = found.of("recommendation", None if last is None else last.recommendation)
        return _Snapshot(
            token=token if found.is_whole else f"{token} and more to come",
            is_whole=found.is_whole,
            parameters=parameters,
            scores=scores,
            regime=regime,
            recommendation=recommendation,
        )


class _Newest:
    """Reads the newest of each noun, and remembers whether all were there."""

    def __init__(self, reader: LearningReader, *, now: datetime) -> None:
        self._reader, self._now = reader, now
        self.is_whole = True

    def of(self, noun: str, last: _Read | None) -> _Read | None:
        """Return the newest; where nothing was published, or not all of it is there, the last good one."""
        read: Callable[..., _Read] = getattr(self._reader, noun)
        try:
            newest = read(as_of=_EVER)
            if _known_at(newest) <= self._now:
                return newest
            self.is_whole = False
            return read(as_of=self._now)
        except LearningError:
            self.is_whole = False
            return last


def _known_at(learned: object) -> datetime:
    """Return when what was read came into force; of feeder scores, when the last of them did."""
    parts: Sequence[_Known] = learned if isinstance(learned, tuple) else (learned,)
    if not parts:
        raise LearningError("a publication of feeder scores holds none: run `bot3 publish run --all`")
    return max(part.known_at for part in parts)


def _known_by(learned: _Learned | None, as_of: datetime, *, what: str) -> _Learned:
    if learned is None or learned.known_at > as_of:
        raise LearningError(f"no {what} were published by {as_of.isoformat()}: run `bot3 learn run`")
    return learned
