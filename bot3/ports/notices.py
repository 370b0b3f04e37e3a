"""Notices to people that are not delivered yet, and the last reported state of each subject; both are stored and survive restarts."""

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
        Names the subject. Events with the same key that occur within `quiet` of the last delivery are counted and delivered as one message.
    at : datetime
        Wall time of the event.
    quiet : timedelta
        Shortest time between two deliveries of the subject, wall time.
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
    """What hinders deliveries.

    `problem` is the reason that a person must correct before a delivery can succeed, empty if there is none; `dropped` counts the notices
    that were rejected permanently.
    """

    problem: str
    dropped: int


class NoticeStore(Protocol):
    """Stores notices until they are delivered.

    Contract: a queued notice is returned by `take` until it is marked as delivered or rejected. Two processes never have the same notice at
    a time; a notice that was taken and then neither delivered, rejected nor put back is returned again after its `hold`. After a notice was
    put back, `take` returns nothing until the time given there, and then continues with the oldest notice.
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
        """Mark a notice as delivered at a wall time; this removes the problem that a person had to correct."""
        ...

    def refused(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Mark a notice as one that can never be delivered, with the reason."""
        ...

    def put_back(self, notice_id: int, *, until: datetime, problem: str = "") -> None:
        """Return a notice to the queue and pause all deliveries until a wall time.

        `problem` is the reason that a person must correct; it is stored until a notice is delivered.
        """
        ...

    def refusals(self) -> Refusals:
        """Return the problem that a person must correct, and the number of stored notices that were rejected permanently."""
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
