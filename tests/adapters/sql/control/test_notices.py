"""Notices in a SQLite file: times at their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.adapters.sql.control.notices import SqlNotices
from bot3.adapters.sql.engine import sqlite_url
from bot3.ports.notices import Notice, Refusals
from bot3.ports.notifier import Message
from tests.journals import minutes

HOLD = timedelta(minutes=2)
TICK = timedelta(microseconds=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlNotices]:
    store = SqlNotices.open(sqlite_url(tmp_path / "control.sqlite"))
    yield store
    store.close()


def a_notice(key: str = "k", *, at: float = 0, title: str = "t", quiet: float = 10, is_silent: bool = False) -> Notice:
    return Notice(key=key, message=Message(title=title, lines=("a",), is_silent=is_silent), at=minutes(at), quiet=timedelta(minutes=quiet))


def test_take_given_bounds_of_time_then_a_notice_is_due_at_its_time_and_free_at_the_end_of_its_hold(store: SqlNotices) -> None:
    store.queue(a_notice(at=5))

    early = store.take(now=minutes(5) - TICK, hold=HOLD)
    first = store.take(now=minutes(5), hold=HOLD)
    held = store.take(now=minutes(7) - TICK, hold=HOLD)
    again = store.take(now=minutes(7), hold=HOLD)

    assert (early, held) == (None, None)
    assert first is not None
    assert first == again
    assert (first.first_at, first.last_at, first.count) == (minutes(5), minutes(5), 1)


def test_queue_given_a_second_of_its_key_then_merges_it_and_keeps_the_first_time(store: SqlNotices) -> None:
    store.queue(a_notice(at=0, title="one"))
    store.queue(a_notice(at=3, title="two", is_silent=True))

    taken = store.take(now=minutes(3), hold=HOLD)

    assert taken is not None
    assert (taken.count, taken.first_at, taken.last_at) == (2, minutes(0), minutes(3))
    assert (taken.message.title, taken.message.is_silent, store.waiting()) == ("two", True, 1)


def test_queue_given_the_quiet_after_a_delivery_then_the_next_is_due_at_its_end(store: SqlNotices) -> None:
    store.queue(a_notice(at=0))
    first = store.take(now=minutes(1), hold=HOLD)
    assert first is not None
    store.mark_sent(first.notice_id, at=minutes(1))

    store.queue(a_notice(at=2))

    assert store.waiting() == 1
    assert store.take(now=minutes(11) - TICK, hold=HOLD) is None
    assert store.take(now=minutes(11), hold=HOLD) is not None


def test_put_back_given_a_time_then_nothing_is_delivered_before_it(store: SqlNotices) -> None:
    store.queue(a_notice())
    store.queue(a_notice("other"))
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None

    store.put_back(taken.notice_id, until=minutes(1), problem="no chat")

    assert store.refusals() == Refusals(problem="no chat", dropped=0)
    assert store.take(now=minutes(1) - TICK, hold=HOLD) is None
    again = store.take(now=minutes(1), hold=HOLD)
    assert again is not None
    assert again.notice_id == taken.notice_id
    store.mark_sent(again.notice_id, at=minutes(1))
    assert store.refusals() == Refusals(problem="", dropped=0)


def test_mark_sent_given_notices_of_a_month_ago_then_those_beyond_30_days_are_deleted(store: SqlNotices) -> None:
    ids = []
    for key, day in (("a", 1.0 - 10.0 / 86_400.0), ("b", 1.0), ("c", 31.0)):
        store.queue(a_notice(key, at=day * 1_440))
        taken = store.take(now=minutes(day * 1_440), hold=HOLD)
        assert taken is not None
        store.refused(taken.notice_id, reason="blocked", at=minutes(day * 1_440)) if key != "c" else ids.append(taken.notice_id)
    before = store.refusals().dropped

    store.mark_sent(ids[0], at=minutes(31 * 1_440))

    assert (before, store.refusals().dropped) == (2, 1)  # that of day 1 is 30 days old


def test_marks_given_a_rest_then_are_only_the_subjects(store: SqlNotices) -> None:
    store.save_mark("b", "off", at=minutes(0), notice=a_notice())
    store.save_mark("a", "on", at=minutes(0), notice=None)
    store.save_mark("gone", "on", at=minutes(0), notice=None)
    store.save_mark("gone", None, at=minutes(1), notice=None)
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None
    store.put_back(taken.notice_id, until=minutes(9))

    assert store.marks() == {"a": "on", "b": "off"}
