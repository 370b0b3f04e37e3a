"""Pending notices, and the last reported state of each subject: both persist over restarts and outages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot3.ports.notifier import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event to report, and the events it is counted with.

    Parameters
    ----------
    key : str
        Notices of one key have one subject: within `quiet` of the last delivery they are counted, and delivered as one.
    at : datetime
        Wall time of the event.
    """

    key: str
    message: Message
    at: datetime
    quiet: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingNotice:
    """A notice that is due; `message` is the newest of `count` events between `first_at` and `last_at`."""

    notice_id: int
    key: str
    message: Message
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """State of deliveries for a person: `problem` is why none succeeds until it is corrected, `dropped` counts lost notices."""

    problem: str
    dropped: int


class NoticeStore(Protocol):
    """Stores notices until they are delivered.

    Contract: a queued notice is returned by `take` until it is delivered or rejected. Two processes never get the same one at a time; one
    that was taken and then neither delivered, rejected nor put back is returned again once its `hold` has passed. After one was put back,
    `take` returns nothing before its time, and then continues in the old order.
    """

    def queue(self, notice: Notice) -> None:
        """Store a notice: merge it into the pending one of its key, else add it.

        An added one is due once the quiet period after the last delivered notice of its key has passed.
        """
        ...

    def take(self, *, now: datetime, hold: timedelta) -> WaitingNotice | None:
        """Return the oldest notice that is due, and reserve it for `hold`; None if there is none."""
        ...

    def mark_sent(self, notice_id: int, *, at: datetime) -> None:
        """Record that a notice was delivered."""
        ...

    def refused(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Record that a notice can never be delivered, and why."""
        ...

    def put_back(self, notice_id: int, *, until: datetime, problem: str = "") -> None:
        """Return a notice to the queue and block all until a time; store the problem that a person must correct until one is delivered."""
        ...

    def refusals(self) -> Refusals:
        """Return the problem to correct, and how many rejected notices are still stored."""
        ...

    def waiting(self) -> int:
        """Count the notices that were neither delivered nor rejected."""
        ...

    def marks(self) -> Mapping[str, str]:
        """Return the last reported state of each subject: text by key."""
        ...

    def save_mark(self, key: str, text: str | None, *, at: datetime, notice: Notice | None) -> None:
        """Store the reported state of a subject (None: remove it), and queue its notice, both or neither."""
        ...
