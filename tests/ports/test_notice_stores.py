"""One suite for every `NoticeStore`: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from bot3.adapters.sql.control.notices import SqlNotices
from bot3.errors import StoreError
from bot3.ports.notices import Notice, NoticeStore
from bot3.ports.notifier import Message
from tests.conftest import NewStore
from tests.journals import minutes

HOLD = timedelta(minutes=2)


@pytest.fixture
def store(new_store: NewStore) -> Iterator[NoticeStore]:
    notices = SqlNotices.open(new_store())
    yield notices
    notices.close()


def a_notice(key: str = "run_failed|backlog", *, at: float = 0, title: str = "Run failed", quiet: float = 10) -> Notice:
    message = Message(title=title, lines=("one", "two"), is_silent=False)
    return Notice(key=key, message=message, at=minutes(at), quiet=timedelta(minutes=quiet))


def tell_next(store: NoticeStore, *, at: float) -> tuple[str, int] | None:
    taken = store.take(now=minutes(at), hold=HOLD)
    if taken is None:
        return None
    store.mark_sent(taken.notice_id, at=minutes(at))
    return taken.message.title, taken.count


def test_take_given_a_notice_then_gives_it_out_whole_and_once(store: NoticeStore) -> None:
    store.queue(a_notice())

    taken = store.take(now=minutes(0), hold=HOLD)

    assert taken is not None
    assert (taken.message, taken.count, taken.first_at) == (a_notice().message, 1, minutes(0))
    assert store.take(now=minutes(1), hold=HOLD) is None


def test_take_given_its_holder_died_then_gives_it_out_again(store: NoticeStore) -> None:
    store.queue(a_notice())
    first = store.take(now=minutes(0), hold=HOLD)

    again = store.take(now=minutes(2), hold=HOLD)

    assert first is not None
    assert first == again


def test_queue_given_the_same_key_waits_then_counts_it_and_keeps_the_newest(store: NoticeStore) -> None:
    for minute in range(3):
        store.queue(a_notice(at=minute, title=f"number {minute}"))

    taken = store.take(now=minutes(3), hold=HOLD)

    assert taken is not None
    assert (taken.message.title, taken.count, taken.first_at, taken.last_at) == ("number 2", 3, minutes(0), minutes(2))


def test_queue_given_the_same_key_was_told_just_now_then_it_waits_for_the_end_of_the_quiet(store: NoticeStore) -> None:
    store.queue(a_notice())
    assert tell_next(store, at=0) == ("Run failed", 1)
    for minute in (1, 2, 3):
        store.queue(a_notice(at=minute))

    assert tell_next(store, at=9.9) is None
    assert tell_next(store, at=10) == ("Run failed", 3)
    assert store.waiting() == 0


def test_queue_given_another_key_then_it_is_told_by_itself(store: NoticeStore) -> None:
    store.queue(a_notice())
    tell_next(store, at=0)

    store.queue(a_notice("run_failed|other", at=1))

    assert tell_next(store, at=1) == ("Run failed", 1)


def test_queue_given_one_is_being_told_then_that_one_is_left_alone(store: NoticeStore) -> None:
    store.queue(a_notice(title="first"))
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None

    store.queue(a_notice(at=1, title="second"))
    store.mark_sent(taken.notice_id, at=minutes(1))

    assert tell_next(store, at=1) == ("second", 1)


def test_put_back_given_a_time_then_it_is_given_out_from_then_on(store: NoticeStore) -> None:
    store.queue(a_notice())
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None

    store.put_back(taken.notice_id, until=minutes(5))

    assert store.take(now=minutes(4), hold=HOLD) is None
    assert store.take(now=minutes(5), hold=HOLD) == taken


def test_put_back_given_a_problem_then_it_is_kept_until_a_notice_is_told_and_is_no_mark(store: NoticeStore) -> None:
    store.queue(a_notice())
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None

    store.put_back(taken.notice_id, until=minutes(5), problem="chat not found")
    store.queue(a_notice("other", at=1))

    assert (store.refusals().problem, store.marks()) == ("chat not found", {})
    assert tell_next(store, at=4) is None
    assert [tell_next(store, at=5), tell_next(store, at=5)] == [("Run failed", 1), ("Run failed", 1)]
    assert store.refusals().problem == ""


def test_put_back_given_an_unknown_id_then_stores_no_problem(store: NoticeStore) -> None:
    with pytest.raises(StoreError, match="no notice 5"):
        store.put_back(5, until=minutes(5), problem="chat not found")

    assert store.refusals().problem == ""


def test_refused_given_a_notice_then_it_waits_no_more_and_makes_no_quiet(store: NoticeStore) -> None:
    store.queue(a_notice())
    taken = store.take(now=minutes(0), hold=HOLD)
    assert taken is not None

    store.refused(taken.notice_id, reason="message is too long", at=minutes(0))
    assert (store.refusals().problem, store.refusals().dropped) == ("", 1)
    store.queue(a_notice(at=1))

    assert tell_next(store, at=1) == ("Run failed", 1)


def test_told_given_an_unknown_id_then_says_so(store: NoticeStore) -> None:
    with pytest.raises(StoreError, match="contains no notice 99"):
        store.mark_sent(99, at=minutes(0))


def test_keep_mark_given_on_and_over_then_remembers_and_tells_each(store: NoticeStore) -> None:
    store.save_mark("halted|BOT1", "BOT1 is halted", at=minutes(0), notice=a_notice("halted|BOT1", title="on"))
    assert store.marks() == {"halted|BOT1": "BOT1 is halted"}
    assert tell_next(store, at=0) == ("on", 1)

    store.save_mark("halted|BOT1", None, at=minutes(1), notice=a_notice("halted|BOT1", at=1, title="over", quiet=0))

    assert store.marks() == {}
    assert tell_next(store, at=1) == ("over", 1)


def test_take_given_many_at_once_then_each_notice_is_given_out_once(new_store: NewStore) -> None:
    url = new_store()
    stores = [SqlNotices.open(url) for _ in range(4)]
    for number in range(12):
        stores[0].queue(a_notice(f"key {number}"))
    taken: list[str] = []
    together = Barrier(len(stores))

    def take_all(store: SqlNotices) -> None:
        together.wait()
        while (found := store.take(now=minutes(1), hold=HOLD)) is not None:
            taken.append(found.key)

    threads = [Thread(target=take_all, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = stores[0].take(now=minutes(1), hold=HOLD)
    for store in stores:
        store.close()

    assert (len(taken), len(set(taken))) == (len(set(taken)), len(taken))
    assert left is None or left.key not in taken
