"""Cache published learning for a process that must never wait for a server: a thread reads it and stores the last valid copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from typing import Generic, Self, TypeVar

import structlog

from bot3.errors import DataError, InvalidLearningError, LearningError, StoreBusyError, StoreError
from bot3.market.regimes import RegimeState
from bot3.ports.learning import InForce, LearningReader
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

_JOIN_S = 5.0

log = structlog.get_logger()


_Learned = ParameterSet | tuple[FeederScore, ...] | RegimeState | Recommendation
_Value = TypeVar("_Value", bound=_Learned)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What was in force at the market time when `token` was read.

    `found` contains the last valid publication of each kind; a kind is missing if none was valid yet. `refused` contains the errors of the
    kinds whose newest publication is invalid. `is_whole` is false while a kind is missing, invalid or incomplete: that may change without a
    new publication. `next_at` is the time at which the next publication comes into force, None if there is none; `number` counts the
    snapshots whose contents differ from the one before.
    """

    token: str
    is_whole: bool
    found: Mapping[str, _Learned]
    refused: Mapping[str, InvalidLearningError]
    next_at: datetime | None
    number: int


class _Cached(Generic[_Value]):
    """One kind of the cached learning; `snapshot` returns the last valid copy."""

    def __init__(self, snapshot: Callable[[], _Snapshot], *, noun: str, kind: type[_Value]) -> None:
        self._snapshot, self._noun, self._kind = snapshot, noun, kind

    def as_of(self, at: datetime) -> _Value:
        """Return the cached value. Raises LearningError if none was known by then."""
        snapshot = self._snapshot()
        found = snapshot.found.get(self._noun)
        if isinstance(found, self._kind) and _known_at(found) <= at:
            return found
        if self._noun in snapshot.refused:
            raise snapshot.refused[self._noun]
        raise LearningError(f"no {self._noun} were published by {at.isoformat()}: run `bot3 learn run`")


class FollowedLearning:
    """A `LearningReader` that reads another one in a thread and caches it: its methods return the last valid copy without a wait.

    Only the thread retries a server that is down or slow; meanwhile the copy is returned, and the caller checks whether it is expired.
    Invalid learning is logged once and does not replace the last valid copy. Every method waits `first_wait_s` at most for the first copy,
    and raises StoreBusyError if there is none yet. A kind raises InvalidLearningError if all of its publications read so far are invalid,
    LearningError if the copy has none, or only one that comes into force after `as_of`.

    Parameters
    ----------
    now : callable
        Returns the market's time: the copy contains what is in force then. A publication that comes into force later is read at that time.
    poll_s : float
        Wall seconds between two polls; ten times as long while reading fails or a kind is missing, invalid or incomplete.
    first_wait_s : float
        Maximum wait of the first call for the first copy, in wall seconds.
    """

    def __init__(self, reader: LearningReader, *, now: Callable[[], datetime], poll_s: float, first_wait_s: float) -> None:
        self._reader, self._now, self._poll_s, self._first_wait_s = reader, now, poll_s, first_wait_s
        self._snapshot: _Snapshot | None = None
        self._looked, self._stop = Event(), Event()
        self._failure: DataError | None = None
        self._is_started = False
        self._thread = Thread(target=self._follow, name="learning", daemon=True)
        self.parameters = _Cached(self._held, noun="parameters", kind=ParameterSet)
        self.feeder_scores: InForce[tuple[FeederScore, ...]] = _Cached(self._held, noun="feeder_scores", kind=tuple)
        self.regimes = _Cached(self._held, noun="regime", kind=RegimeState)
        self.recommendations = _Cached(self._held, noun="recommendation", kind=Recommendation)

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        self._is_started = True
        return self

    def close(self) -> None:
        """Stop the thread; wait for its end 5 s at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_JOIN_S)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest market time after a given one at which a publication comes into force; None if none is known."""
        snapshot = self._held()
        waiting = [] if snapshot.next_at is None else [snapshot.next_at]
        return min((at for at in (*map(_known_at, snapshot.found.values()), *waiting) if at > after), default=None)

    def learning_token(self) -> str:
        """Return a token of the cached copy, which differs once the copy has changed.

        Raises
        ------
        StoreBusyError
            If no copy could be read yet.
        StoreError
            If the thread has ended, which is a bug: later changes would not be read.
        """
        if self._is_started and not self._thread.is_alive():
            raise StoreError("the thread that reads the published learning has ended: restart this process, and report its log")
        snapshot = self._held()
        return f"{snapshot.token} #{snapshot.number}"

    def look(self) -> bool:
        """Read new publications, as the thread does at each poll.

        Return False if reading failed or a kind is missing, invalid or incomplete, else True.
        """
        last = self._snapshot
        try:
            token = self._reader.learning_token()
            now = self._now()
            is_due = last is not None and last.next_at is not None and now >= last.next_at
            if last is None or not last.is_whole or token != last.token or is_due:
                self._snapshot = last = self._read(token, last, now=now)
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
            raise StoreBusyError("published learning could not be read yet: wait and retry") from self._failure
        return self._snapshot

    def _follow(self) -> None:
        while not self._stop.is_set():
            is_well = self.look()
            self._looked.set()
            self._stop.wait(self._poll_s if is_well else self._poll_s * 10.0)

    def _readers(self) -> dict[str, InForce[_Learned]]:
        reader = self._reader
        return {
            "parameters": reader.parameters,
            "feeder_scores": reader.feeder_scores,
            "regime": reader.regimes,
            "recommendation": reader.recommendations,
        }

    def _read(self, token: str, last: _Snapshot | None, *, now: datetime) -> _Snapshot:
        # The token was read first: a publication in between changes it, and the next poll reads that publication.
        found: dict[str, _Learned] = {} if last is None else dict(last.found)
        refused: dict[str, InvalidLearningError] = {}
        is_whole = True
        for noun, reader in self._readers().items():
            try:
                newest = reader.as_of(now)
                # An empty publication of scores replaces nothing.
                if newest:
                    found[noun] = newest
                is_whole &= bool(newest)
            except InvalidLearningError as error:
                refused[noun], is_whole = error, False
                if last is None or str(last.refused.get(noun)) != str(error):
                    log.error("learning_refused", noun=noun, error=str(error))  # noqa: TRY400  # the message is sufficient
            except LearningError:
                is_whole = False
        return _Snapshot(
            token=token,
            is_whole=is_whole,
            found=found,
            refused=refused,
            next_at=self._reader.next_known_at(after=now),
            number=0 if last is None else last.number + (found != last.found),
        )


def _known_at(learned: _Learned) -> datetime:
    """Return the market time at which a publication came into force; for feeder scores, the latest time among them."""
    return max(score.known_at for score in learned) if isinstance(learned, tuple) else learned.known_at
