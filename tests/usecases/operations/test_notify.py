"""What waits is told in its order, once for certain, and later where nobody was reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.control.notices import SqlNotices
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import MessageRefusedError, NotifierBusyError, NotifierRefusedError
from bot3.ports.notices import Notice, NoticeStore
from bot3.ports.notifier import Message
from bot3.usecases.operations.notify import AGAIN, HOLD, MENDED_AGAIN, notify
from tests.journals import OPENED


class Wall:
    def __init__(self) -> None:
        self.at = OPENED

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class FakeNotifier:
    """Fails as told, then delivers."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.told: list[Message] = []

    def notify(self, message: Message) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.told.append(message)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NoticeStore]:
    notices = SqlNotices.open(sqlite_url(tmp_path / "control.sqlite"))
    yield notices
    notices.close()


def queue(store: NoticeStore, key: str, *, at: datetime, quiet_s: float = 600.0) -> None:
    store.queue(Notice(key=key, message=Message(title=key, lines=("why",)), at=at, quiet=timedelta(seconds=quiet_s)))


def titles(notifier: FakeNotifier) -> list[str]:
    return [message.title for message in notifier.told]


def test_tell_given_notices_then_tells_the_oldest_first(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier()
    for key in ("one", "two", "three"):
        queue(store, key, at=wall())

    came = notify(store, notifier, wall_now=wall)

    assert titles(notifier) == ["one", "two", "three"]
    assert (came.sent, came.waiting, came.problem) == (3, 0, "")


def test_tell_given_a_flood_then_leaves_the_notifier_alone_for_as_long_as_it_says(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier(NotifierBusyError("patience", retry_after_s=90.0))
    queue(store, "one", at=wall())

    assert notify(store, notifier, wall_now=wall).problem == "patience"
    wall.pass_by(89.0)
    assert notify(store, notifier, wall_now=wall).sent == 0
    wall.pass_by(1.0)

    assert notify(store, notifier, wall_now=wall).sent == 1


def test_tell_given_a_flood_and_several_notices_then_none_is_told_before_its_end_and_their_order_is_kept(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier(NotifierBusyError("patience", retry_after_s=90.0))
    for key in ("one", "two"):
        queue(store, key, at=wall())
    notify(store, notifier, wall_now=wall)
    wall.pass_by(30.0)
    queue(store, "three", at=wall())

    assert notify(store, notifier, wall_now=wall).sent == 0
    wall.pass_by(60.0)

    assert notify(store, notifier, wall_now=wall).sent == 3
    assert titles(notifier) == ["one", "two", "three"]


def test_tell_given_a_chat_that_is_refused_then_all_wait_until_it_is_mended_and_the_problem_is_kept(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier(NotifierRefusedError("chat not found"))
    queue(store, "one", at=wall())
    queue(store, "two", at=wall())

    came = notify(store, notifier, wall_now=wall)
    assert (came.sent, came.refused, came.waiting, came.problem) == (0, 0, 2, "chat not found")
    assert (store.refusals().problem, store.refusals().dropped) == ("chat not found", 0)
    wall.pass_by(MENDED_AGAIN.total_seconds() - 1.0)
    assert notify(store, notifier, wall_now=wall).sent == 0
    wall.pass_by(1.0)

    assert notify(store, notifier, wall_now=wall).sent == 2
    assert (titles(notifier), store.refusals().problem) == (["one", "two"], "")


def test_tell_given_a_text_that_is_refused_then_drops_it_counts_it_and_goes_on(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier(MessageRefusedError("message is too long"))
    queue(store, "one", at=wall())
    queue(store, "two", at=wall())

    came = notify(store, notifier, wall_now=wall)

    assert (titles(notifier), came.refused, came.waiting, came.problem) == (["two"], 1, 0, "message is too long")
    assert (store.refusals().problem, store.refusals().dropped) == ("", 1)


def test_tell_given_several_of_a_key_then_says_how_many_since_when(store: NoticeStore) -> None:
    wall, notifier = Wall(), FakeNotifier()
    for _ in range(3):
        queue(store, "one", at=wall())
        wall.pass_by(60.0)

    notify(store, notifier, wall_now=wall)

    assert notifier.told[0].lines == (
        "3 times from 2026-01-05 12:00:00 to 2026-01-05 12:02:00 UTC (wall time); this is the newest.",
        "why",
    )


def test_tell_given_a_process_died_while_it_told_then_another_tells_it_again(store: NoticeStore) -> None:
    wall, dying, other = Wall(), FakeNotifier(KeyboardInterrupt()), FakeNotifier()  # type: ignore[arg-type]
    queue(store, "one", at=wall())
    with pytest.raises(KeyboardInterrupt):
        notify(store, dying, wall_now=wall)

    assert notify(store, other, wall_now=wall).sent == 0
    wall.pass_by(HOLD.total_seconds())

    assert notify(store, other, wall_now=wall).sent == 1


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.sampled_from(["one", "two", "busy", "wait", "tell"]), max_size=25))
def test_tell_given_any_outages_then_every_notice_is_told_or_counted_at_last(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    store = SqlNotices.open(sqlite_url(tmp_path_factory.mktemp("told") / "control.sqlite"))
    wall, notifier = Wall(), FakeNotifier()
    queued = 0
    for step in steps:
        if step in {"one", "two"}:
            queue(store, step, at=wall(), quiet_s=60.0)
            queued += 1
        elif step == "busy":
            notifier.faults.append(NotifierBusyError("away"))
        elif step == "wait":
            wall.pass_by(30.0)
        else:
            notify(store, notifier, wall_now=wall)
    notifier.faults.clear()
    wall.pass_by(60.0 + AGAIN.total_seconds())
    notify(store, notifier, wall_now=wall)

    counts = [int(message.lines[0].split()[0]) if len(message.lines) > 1 else 1 for message in notifier.told]
    left = store.waiting()
    store.close()
    assert (sum(counts), left) == (queued, 0)
