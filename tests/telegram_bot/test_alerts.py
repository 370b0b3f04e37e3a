"""One message when something goes wrong, one when it is over, over restarts too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.control.notices import SqlNotices
from bot3.adapters.sql.engine import sqlite_url
from bot3.ports.notices import NoticeStore
from bot3.usecases.fleet.status import Alert
from telegram_bot.alerts import LOOKS, SEVERE_QUIET, AlertWatch
from tests.journals import OPENED

HALTED = Alert(key="halted|BOT1", text="BOT1 is halted: drawdown.", remedy="`bot3 resume BOT1`")
OLD = Alert(key="recommendations", text="Recommendations expired 5 min ago.", remedy="Learn again.", is_severe=False)


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[NoticeStore]:
    store = SqlNotices.open(sqlite_url(tmp_path / "control.sqlite"))
    yield store
    store.close()


class Desk:
    """Looks at what a test says is wrong; reads what would be told."""

    def __init__(self, notices: NoticeStore, *, quiet_s: float = 0.0) -> None:
        self.notices, self.wrong, self.at = notices, list[Alert](), OPENED
        self._quiet = timedelta(seconds=quiet_s)
        self.restart()

    def restart(self) -> None:
        self.watch = AlertWatch(self.notices, look=lambda: self.wrong, quiet=self._quiet)

    def look(self, *wrong: Alert, times: int = LOOKS) -> None:
        self.wrong = list(wrong)
        for _ in range(times):
            self.at += timedelta(seconds=10)
            self.watch.step(wall_now=self.at)

    def told(self) -> list[tuple[str, str]]:
        found = []
        while (taken := self.notices.take(now=self.at, hold=timedelta(minutes=1))) is not None:
            self.notices.mark_sent(taken.notice_id, at=self.at)
            found.append((taken.message.title, taken.message.lines[0]))
        return found

    def later(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


def test_watch_given_something_wrong_then_tells_it_once_with_its_remedy(notices: NoticeStore) -> None:
    desk = Desk(notices)

    desk.look(HALTED, times=20)

    assert desk.told() == [("Alert", HALTED.text)]


def test_watch_given_it_was_wrong_for_one_look_then_tells_nothing(notices: NoticeStore) -> None:
    desk = Desk(notices)

    for _ in range(5):
        desk.look(HALTED, times=1)
        desk.look(times=1)

    assert desk.told() == []


def test_watch_given_it_is_over_then_says_so_once(notices: NoticeStore) -> None:
    desk = Desk(notices)
    desk.look(HALTED)
    desk.told()

    desk.look(times=10)

    assert desk.told() == [("Resolved", f"Resolved: {HALTED.text}")]


def test_watch_given_what_cannot_be_looked_for_any_more_then_it_is_not_called_over(notices: NoticeStore) -> None:
    away = Alert(key="problem|BOT1", text="BOT1: the database is away.", remedy="Doctor.", hides=(HALTED.key,))
    desk = Desk(notices)
    desk.look(HALTED)
    desk.look(away, times=5)
    assert [title for title, _ in desk.told()] == ["Alert", "Alert"]

    desk.look()

    assert desk.told() == [("Resolved", f"Resolved: {HALTED.text}"), ("Resolved", f"Resolved: {away.text}")]


def test_watch_given_a_restart_then_what_was_told_is_not_told_again(notices: NoticeStore) -> None:
    desk = Desk(notices)
    desk.look(HALTED)
    desk.told()

    desk.restart()
    desk.look(HALTED, times=5)
    assert desk.told() == []
    desk.restart()
    desk.look(times=5)

    assert desk.told() == [("Resolved", f"Resolved: {HALTED.text}")]


def test_watch_given_the_same_thing_in_other_words_then_tells_nothing(notices: NoticeStore) -> None:
    desk = Desk(notices)
    desk.look(OLD)
    desk.told()

    desk.look(Alert(key=OLD.key, text="Recommendations expired 9 min ago.", remedy=OLD.remedy, is_severe=False))

    assert desk.told() == []


def test_watch_given_a_warning_then_it_makes_no_sound(notices: NoticeStore) -> None:
    Desk(notices).look(OLD)

    taken = notices.take(now=OPENED + timedelta(hours=1), hold=timedelta(minutes=1))

    assert taken is not None
    assert (taken.message.title, taken.message.is_silent) == ("Warning", True)


def test_watch_given_something_comes_and_goes_within_the_quiet_then_the_last_word_alone_is_told_at_its_end(notices: NoticeStore) -> None:
    desk = Desk(notices, quiet_s=600.0)
    desk.look(OLD)
    desk.look()
    desk.told()
    for _ in range(3):
        desk.look(OLD)
        desk.look()
    assert desk.told() == []

    desk.later(600.0)

    assert desk.told() == [("Resolved", f"Resolved: {OLD.text}")]


def test_watch_given_it_is_over_within_the_quiet_then_that_is_told_at_once(notices: NoticeStore) -> None:
    desk = Desk(notices, quiet_s=600.0)
    desk.look(HALTED)
    assert len(desk.told()) == 1

    desk.look()

    assert [title for title, _ in desk.told()] == ["Resolved"]


def test_watch_given_a_severe_alert_comes_again_then_it_waits_two_minutes_at_most(notices: NoticeStore) -> None:
    desk = Desk(notices, quiet_s=600.0)
    for _ in range(2):
        desk.look(HALTED)
        desk.look()
        desk.told()
    desk.look(HALTED)

    desk.later(SEVERE_QUIET.total_seconds())

    assert [title for title, _ in desk.told()] == ["Alert"]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(looks=st.lists(st.booleans(), max_size=30), restarts=st.sets(st.integers(0, 29)))
def test_watch_given_any_looks_and_restarts_then_begun_and_over_take_turns(
    tmp_path_factory: pytest.TempPathFactory, looks: list[bool], restarts: set[int]
) -> None:
    store = SqlNotices.open(sqlite_url(tmp_path_factory.mktemp("alerts") / "control.sqlite"))
    desk = Desk(store)
    titles = []
    for number, is_wrong in enumerate(looks):
        if number in restarts:
            desk.restart()
        desk.look(*([HALTED] if is_wrong else []), times=1)
        titles += [title for title, _ in desk.told()]
    store.close()

    assert titles == [("Alert", "Resolved")[number % 2] for number in range(len(titles))]
