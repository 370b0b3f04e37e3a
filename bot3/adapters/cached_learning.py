"""Cache published learning for a process that must not wait for a server: a thread reads it and caches the last valid copy in memory."""

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
    """The published learning that was in force when `token` was read.

    `found` contains the last valid publication of each kind; a kind is missing if no publication of it was valid yet. `refused` contains
    the errors of the kinds whose newest publication is invalid. `is_whole` is false while a kind is missing, invalid or incomplete: then
    everything is read again at the next poll, also without a new publication. `next_at` is the market time at which the next publication
    comes into force, None if none will; `number` counts the snapshots whose `found` differs from the one before.
    """

    token: str
    is_whole: bool
    found: Mapping[str, _Learned]
    refused: Mapping[str, InvalidLearningError]
    next_at: datetime | None
    number: int


class _Cached(Generic[_Value]):
    """Reads one kind of published learning from the snapshot that `snapshot` returns."""

    def __init__(self, snapshot: Callable[[], _Snapshot], *, noun: str, kind: type[_Value]) -> None:
        self._snapshot, self._noun, self._kind = snapshot, noun, kind

    def as_of(self, at: datetime) -> _Value:
        """Return the last valid value that was read. Raises LearningError if there is none, or it comes into force only later."""
        snapshot = self._snapshot()
        found = snapshot.found.get(self._noun)
        if isinstance(found, self._kind) and _known_at(found) <= at:
            return found
        if self._noun in snapshot.refused:
            raise snapshot.refused[self._noun]
        raise LearningError(f"no {self._noun} were published by {at.isoformat()}: run `bot3 learn run`")


class FollowedLearning:
    """A `LearningReader` that polls another one in a thread: its own methods return the last valid copy in memory without a request.

    If the server is down or slow, only the thread waits for it; the methods return the last copy, and the caller checks whether it has
    expired. Invalid values are logged once and do not replace the last valid ones. Before the first copy was read, a reading method waits
    `first_wait_s` at most, then raises StoreBusyError. `as_of` raises InvalidLearningError if all publications of the kind read so far are
    invalid, LearningError if none was read, or only one that comes into force later.

    Parameters
    ----------
    now : callable
        Returns the market's time: the copy contains what is in force then. A publication that comes into force later is read once that time
        has come.
    poll_s : float
        Wall seconds between two polls; the pause is ten times as long while reading fails or a kind is missing, invalid or incomplete.
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
        """Stop the thread; wait at most 5 s for its end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_JOIN_S)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return the earliest market time after a given one at which a publication in the copy comes into force; None if none does."""
        snapshot = self._held()
        waiting = [] if snapshot.next_at is None else [snapshot.next_at]
        return min((at for at in (*map(_known_at, snapshot.found.values()), *waiting) if at > after), default=None)

    def learning_token(self) -> str:
        """Return a token that differs whenever the copy in memory has changed.

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
