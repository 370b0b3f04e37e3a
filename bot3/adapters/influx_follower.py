"""Published learning for a process that must never wait for a server: read in a thread of its own, the last good copy kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Self, TypeVar

import structlog

from bot3.errors import DataError, InvalidLearningError, LearningError, StoreBusyError, StoreError
from bot3.market.regimes import RegimeState
from bot3.ports.record import LearningReader
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

_EVER = datetime(2199, 1, 1, tzinfo=UTC)
_JOIN_S = 5.0

log = structlog.get_logger()


_Learned = ParameterSet | tuple[FeederScore, ...] | RegimeState | Recommendation
_Value = TypeVar("_Value", bound=_Learned)

_NOUNS = ("parameters", "feeder_scores", "regime", "recommendation")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What was there when its token was read.

    `found` holds of each noun what is in force and the newest that waits for its `known_at`, oldest first; nothing where nothing was ever
    published. `is_whole` is false while something is not there, or not all of it: that may change without a new publication. `asked_at`
    is the latest time that a caller had asked for by then, `next_at` when the first publication after it comes into force; `number`
    counts the snapshots that differ.
    """

    token: str
    is_whole: bool
    found: Mapping[str, tuple[_Learned, ...]]
    refused: Mapping[str, LearningError]
    asked_at: datetime | None
    next_at: datetime | None
    number: int

    def is_due(self, asked_at: datetime | None) -> bool:
        """Say whether something else is in force by now than what was read."""
        if asked_at is None:
            return False
        if self.asked_at is None:
            return any(_known_at(values[-1]) > asked_at for values in self.found.values() if values)
        return self.next_at is not None and asked_at >= self.next_at


class FollowedLearning:
    """A `LearningReader` on another, followed in a thread: its methods answer at once, from the last good copy.

    A server that is down or slow is read again and again by the thread alone; what was read before stays until it expires. What is
    invalid is logged once and leaves the last good copy. A publication that is known later than `as_of` is not shown, and hides none
    that is in force by then: the thread reads that one as of the latest time that a caller asked for.

    Parameters
    ----------
    poll_s : float
        Wall seconds between two looks; after a failure ten times as long.
    first_wait_s : float
        How long the first question waits for the first copy, at most.
    """

    def __init__(self, reader: LearningReader, *, poll_s: float, first_wait_s: float) -> None:
        self._reader, self._poll_s, self._first_wait_s = reader, poll_s, first_wait_s
        self._snapshot: _Snapshot | None = None
        self._looked, self._stop = Event(), Event()
        self._failure: DataError | None = None
        self._asked_at: datetime | None = None
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
        """Return the parameters in force, as far as they were read. Raises LearningError if none were known by then."""
        return self._in_force("parameters", ParameterSet, as_of=as_of)

    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        """Return the scores in force, as far as they were read. Raises LearningError if none were known by then."""
        return self._in_force("feeder_scores", tuple, as_of=as_of)

    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the regime state in force, as far as it was read. Raises LearningError if none was known by then."""
        return self._in_force("regime", RegimeState, as_of=as_of)

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the recommendation in force, as far as it was read. Raises LearningError if none was known by then."""
        return self._in_force("recommendation", Recommendation, as_of=as_of)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return when the first publication that was read or announced comes into force later than a time; None if there is none."""
        snapshot = self._held()
        known = [_known_at(value) for values in snapshot.found.values() for value in values]
        announced = [] if snapshot.next_at is None else [snapshot.next_at]
        return min((at for at in (*known, *announced) if at > after), default=None)

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
        snapshot = self._held()
        return f"{snapshot.token} #{snapshot.number}"

    def look(self) -> bool:
        """Read what is new, as the thread does by itself; return whether everything was there."""
        last = self._snapshot
        try:
            token = self._reader.learning_token()
            if last is None or not last.is_whole or token != last.token or last.is_due(self._asked_at):
                self._snapshot = last = self._read(token, last)
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

    def _in_force(self, noun: str, kind: type[_Value], *, as_of: datetime) -> _Value:
        self._asked_at = as_of if self._asked_at is None else max(self._asked_at, as_of)
        snapshot = self._held()
        found = [value for value in snapshot.found[noun] if isinstance(value, kind) and _known_at(value) <= as_of]
        if not found and noun in snapshot.refused:
            raise snapshot.refused[noun]
        if not found and snapshot.is_due(as_of):
            raise StoreBusyError(f"{noun} as of {as_of.isoformat()} were not read yet: wait")
        if not found:
            raise LearningError(f"no {noun} were published by {as_of.isoformat()}: run `bot3 learn run`")
        return found[-1]

    def _read(self, token: str, last: _Snapshot | None) -> _Snapshot:
        # The token was read first: what is published in between changes it, and is read at the next look.
        asked_at = self._asked_at
        reading = _Reading(self._reader, asked_at=asked_at)
        found = {noun: reading.of(noun, () if last is None else last.found[noun]) for noun in _NOUNS}
        for noun, error in reading.refused.items():
            if last is None or str(last.refused.get(noun)) != str(error):
                log.error("learning_refused", noun=noun, error=str(error))
        return _Snapshot(
            token=token,
            is_whole=reading.is_whole,
            found=found,
            refused=reading.refused,
            asked_at=asked_at,
            next_at=None if asked_at is None else self._reader.next_known_at(after=asked_at),
            number=0 if last is None else last.number + (found != last.found),
        )


class _Reading:
    """Reads what is in force and the newest of each noun, and remembers whether all were there and what was refused."""

    def __init__(self, reader: LearningReader, *, asked_at: datetime | None) -> None:
        self._reader, self._asked_at = reader, asked_at
        self.is_whole = True
        self.refused: dict[str, LearningError] = {}

    def of(self, noun: str, last: tuple[_Learned, ...]) -> tuple[_Learned, ...]:
        """Return a noun, oldest first; what was read last where nothing can be read, or not all of it is there."""
        newest = self._read(noun, as_of=_EVER)
        self.is_whole &= newest is not None
        values = [newest]
        if self._asked_at is not None and (newest is None or _known_at(newest) > self._asked_at):
            values = [self._read(noun, as_of=self._asked_at), newest]
        return tuple(value for value in values if value is not None) or last

    def _read(self, noun: str, *, as_of: datetime) -> _Learned | None:
        read: Callable[..., _Learned] = getattr(self._reader, noun)
        try:
            return read(as_of=as_of)
        except InvalidLearningError as error:
            self.refused[noun] = error
        except LearningError:
            pass  # nothing was published by then, or not all of it is there
        return None


def _known_at(value: _Learned) -> datetime:
    return max(score.known_at for score in value) if isinstance(value, tuple) else value.known_at
