"""Notices that wait to be told, and what was told last: kept over restarts and outages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot3.ports.notifier import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell, and what it is counted with.

    Parameters
    ----------
    key : str
        Notices of one key are one subject: within `quiet` of the last that was told they are counted, and told once.
    at : datetime
        Wall time at which it happened.
    """

    key: str
    message: Message
    at: datetime
    quiet: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingNotice:
    """A notice whose turn has come; `message` is the newest of `count` that happened from `first_at` to `last_at`."""

    notice_id: int
    key: str
    message: Message
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What a person must know of the telling: `problem` says why nothing is delivered until it is mended, `dropped` counts lost notices."""

    problem: str
    dropped: int


class NoticeStore(Protocol):
    """Keeps notices until they were told.

    Law: a notice that was queued is given out until it is told or refused. Two processes are never given the same one at a time; one that
    was given out and neither told, refused nor put back is given out again once its hold has passed. After one was put back nothing is
    given out before its time, and then in the old order.
    """

    def queue(self, notice: Notice) -> None:
        """Keep a notice: with those of its key that wait, else by itself, told once the quiet after the last told one has passed."""
        ...

    def take(self, *, now: datetime, hold: timedelta) -> WaitingNotice | None:
        """Give out the oldest notice whose time has come; None if there is none."""
        ...

    def told(self, notice_id: int, *, at: datetime) -> None:
        """Keep that a notice was delivered."""
        ...

    def refused(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Keep that a notice can never be delivered, and why."""
        ...

    def put_back(self, notice_id: int, *, until: datetime, problem: str = "") -> None:
        """Give a notice out again, and none before a time; `problem` is what a person must mend, kept until a notice is told."""
        ...

    def refusals(self) -> Refusals:
        """Return what must be mended, and how many notices were refused for good and are still kept."""
        ...

    def waiting(self) -> int:
        """Count the notices that were neither told nor refused."""
        ...

    def marks(self) -> Mapping[str, str]:
        """Return what was told last of each subject: text by key."""
        ...

    def keep_mark(self, key: str, text: str | None, *, at: datetime, notice: Notice | None) -> None:
        """Keep what is told of a subject (None: no more), and queue the notice of it, both or neither."""
        ...
