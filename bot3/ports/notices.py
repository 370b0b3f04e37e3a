"""Notices to people that are not delivered yet, and the last reported state of each subject; both are stored durably."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot3.ports.notifier import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event to report to a person.

    Parameters
    ----------
    key : str
        Names the subject. Events with the same key are counted in one notice until it is delivered.
    at : datetime
        Wall time of the event.
    quiet : timedelta
        Shortest wall time between a delivery of the subject and the next one.
    """

    key: str
    message: Message
    at: datetime
    quiet: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingNotice:
    """A notice to deliver now; `message` reports the newest of `count` events, which occurred from `first_at` to `last_at` (wall time)."""

    notice_id: int
    key: str
    message: Message
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What prevents deliveries.

    `problem` is what a person must correct before a delivery can succeed, empty if there is nothing; `dropped` counts the stored notices
    that were rejected permanently.
    """

    problem: str
    dropped: int


class NoticeStore(Protocol):
    """Stores notices until they are delivered.

    Contract: a queued notice is returned by `take` until it is marked as delivered or rejected. Two processes never have the same notice at
    a time; a notice that was taken and then neither delivered, rejected nor put back is returned again after its `hold`. After a notice was
    put back, `take` returns no notice until the time given there, and then continues with the oldest one.
    """

    def queue(self, notice: Notice) -> None:
        """Store a notice: if one of its key is pending and not under delivery, update its message and count, otherwise add a notice.

        An added notice is due once its quiet period after the last delivered notice of its key has passed.
        """
        ...

    def take(self, *, now: datetime, hold: timedelta) -> WaitingNotice | None:
        """Return the oldest notice that is due at a wall time, and reserve it for `hold`; None if there is none or deliveries pause."""
        ...

    def mark_sent(self, notice_id: int, *, at: datetime) -> None:
        """Mark a notice as delivered at a wall time, and remove the stored problem unless deliveries pause until a later time."""
        ...

    def refused(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Mark a notice as one that can never be delivered, with the reason."""
        ...

    def put_back(self, notice_id: int, *, until: datetime, problem: str = "") -> None:
        """Return a notice to the queue and pause all deliveries until a wall time.

        `problem` is what a person must correct, empty if there is nothing; it is stored until a notice is delivered.
        """
        ...

    def refusals(self) -> Refusals:
        """Return what prevents deliveries."""
        ...

    def waiting(self) -> int:
        """Count the notices that were neither delivered nor rejected."""
        ...

    def marks(self) -> Mapping[str, str]:
        """Return the last reported state of each subject, as text by the subject's key."""
        ...

    def save_mark(self, key: str, text: str | None, *, at: datetime, notice: Notice | None) -> None:
        """Store the reported state of a subject (None removes it) and queue its notice, if one is given, in one transaction."""
        ...
