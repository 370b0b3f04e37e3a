"""Store notices to people, and the last reported state of each subject (marks), in the control store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.control.tables import marks, notices
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.rows import from_us, to_us, upsert
from bot3.errors import StoreError
from bot3.ports.notices import Notice, Refusals, WaitingNotice
from bot3.ports.notifier import Message

_KEPT_US = 30 * 86_400 * 1_000_000
"""Microseconds for which delivered and permanently rejected notices are retained."""
_REST = "notifier"
"""Key of the row of `marks` that contains the time until which deliveries pause, and the problem to correct; it is not a subject."""


class SqlNotices:
    """A `NoticeStore` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, busy_timeout_s: float = 5.0) -> Self:
        """Open the control store, create it if it is missing, and migrate its schema to this release.

        With `read_only` it must exist and have this release's schema. Raises StoreError if it cannot be opened.
        """
        return cls(Database.open(url, kind="control", read_only=read_only, busy_timeout_s=busy_timeout_s))

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def queue(self, notice: Notice) -> None:
        """Update the pending notice of the same key that is not under delivery and count the event; insert a notice if there is none."""
        with self._database.write() as connection:
            _queue(connection, notice)

    def take(self, *, now: datetime, hold: timedelta) -> WaitingNotice | None:
        """Return the oldest due notice and reserve it for `hold`; None if there is none, or while deliveries pause after `put_back`."""
        now_us = to_us(now)
        due = sa.and_(notices.c.closed_at_us.is_(None), notices.c.due_at_us <= now_us, notices.c.held_until_us <= now_us)
        with self._database.write() as connection:
            if _rest(connection)["until_us"] > now_us:
                return None
            found = connection.execute(sa.select(notices.c.id).where(due).order_by(notices.c.id).limit(1)).scalar_one_or_none()
            if found is None:
                return None
            # The update repeats the condition: on a server another process may have taken the notice in between.
            taken = sa.update(notices).where(notices.c.id == found, due).values(held_until_us=to_us(now + hold)).returning(notices)
            row = connection.execute(taken).mappings().one_or_none()
        return None if row is None else _waiting(row)

    def mark_sent(self, notice_id: int, *, at: datetime) -> None:
        """Mark a notice as delivered, and remove the stored problem unless deliveries pause until a later time.

        Notices that were delivered or rejected more than 30 days ago are deleted.
        """
        with self._database.write() as connection:
            self._change(connection, notice_id, closed_at_us=to_us(at))
            connection.execute(sa.delete(marks).where(marks.c.key == _REST, marks.c.at_us <= to_us(at)))
            connection.execute(sa.delete(notices).where(notices.c.closed_at_us < to_us(at) - _KEPT_US))

    def refused(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Mark a notice as one that can never be delivered, with the reason."""
        with self._database.write() as connection:
            self._change(connection, notice_id, closed_at_us=to_us(at), refused=reason)

    def put_back(self, notice_id: int, *, until: datetime, problem: str = "") -> None:
        """Release a notice for another delivery, pause all deliveries until a wall time, and store the problem to correct."""
        rest = json.dumps({"until_us": to_us(until), "problem": problem})
        with self._database.write() as connection:
            self._change(connection, notice_id, held_until_us=0)
            upsert(connection, marks, {"key": _REST, "text": rest, "at_us": to_us(until)})

    def refusals(self) -> Refusals:
        """Return the problem to correct (empty if there is none), and the number of stored notices that were permanently rejected."""
        with self._database.read() as connection:
            dropped = connection.execute(sa.select(sa.func.count()).where(notices.c.refused.is_not(None))).scalar_one()
            return Refusals(problem=_rest(connection)["problem"], dropped=int(dropped))

    def waiting(self) -> int:
        """Count the notices that were neither delivered nor rejected."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(notices.c.closed_at_us.is_(None))).scalar_one())

    def marks(self) -> Mapping[str, str]:
        """Return the last reported text of each subject, by key."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(marks.c.key, marks.c.text).where(marks.c.key != _REST).order_by(marks.c.key)).all()
        return {row.key: row.text for row in rows}

    def save_mark(self, key: str, text: str | None, *, at: datetime, notice: Notice | None) -> None:
        """Update the reported text of a subject (None deletes it) and queue its notice, in one transaction."""
        with self._database.write() as connection:
            if text is None:
                connection.execute(sa.delete(marks).where(marks.c.key == key))
            else:
                upsert(connection, marks, {"key": key, "text": text, "at_us": to_us(at)})
            if notice is not None:
                _queue(connection, notice)

    def _change(self, connection: Connection, notice_id: int, **values: object) -> None:
        if connection.execute(sa.update(notices).where(notices.c.id == notice_id).values(**values)).rowcount != 1:
            raise StoreError(f"{self._database.shown} contains no notice {notice_id}: it was deleted or never queued")


def _rest(connection: Connection) -> dict[str, Any]:
    kept = connection.execute(sa.select(marks.c.text).where(marks.c.key == _REST)).scalar_one_or_none()
    found: dict[str, Any] = {"until_us": 0, "problem": ""} if kept is None else json.loads(kept)
    return found


def _queue(connection: Connection, notice: Notice) -> None:
    at_us, message = to_us(notice.at), notice.message
    said = {"title": message.title, "lines": json.dumps(message.lines), "is_silent": message.is_silent, "last_at_us": at_us}
    of_key = notices.c.key == notice.key
    # A notice under delivery is not changed any more: new content is queued as the next notice.
    open_one = sa.and_(of_key, notices.c.closed_at_us.is_(None), notices.c.held_until_us <= at_us)
    if connection.execute(sa.update(notices).where(open_one).values(**said, count=notices.c.count + 1)).rowcount:
        return
    last = sa.select(sa.func.max(notices.c.closed_at_us)).where(of_key, notices.c.refused.is_(None))
    told_us = connection.execute(last).scalar_one_or_none()
    due_us = at_us if told_us is None else max(at_us, told_us + notice.quiet // timedelta(microseconds=1))
    row = {"key": notice.key, **said, "count": 1, "first_at_us": at_us, "due_at_us": due_us, "held_until_us": 0}
    connection.execute(sa.insert(notices).values(**row))


def _waiting(row: Mapping[Any, Any]) -> WaitingNotice:
    return WaitingNotice(
        notice_id=row["id"],
        key=row["key"],
        message=Message(title=row["title"], lines=tuple(json.loads(row["lines"])), is_silent=row["is_silent"]),
        count=row["count"],
        first_at=from_us(row["first_at_us"]),
        last_at=from_us(row["last_at_us"]),
    )
