"""The loop: whom it answers, what it does when Telegram or the stores are away, and its sign of life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.control.notices import SqlNotices
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import AlreadyRunningError, MessageRefusedError, NotifierBusyError, NotifierRefusedError, StoreBusyError
from bot3.ports.chat import ChatMessage
from bot3.ports.notices import Notice
from bot3.ports.notifier import Message
from bot3.usecases.fleet.bot_state import LISTENING, STALE
from telegram_bot.monitor import LOOK_EVERY, STORES_AWAY, UNREACHED, Monitor, Parts
from tests.clocks import MovableClock

CHAT, LISTED = -1001, 7


class FakeChat:
    """Hands out what was put in; raises faults first. Waiting takes wall time."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.faults: list[Exception] = []
        self.waiting: list[ChatMessage] = []
        self.answers: list[str] = []
        self.answer_fault: Exception | None = None
        self.skip_fault: Exception | None = None

    def name(self) -> str:
        self._fail()
        return "bot3_bot"

    def skip_waiting(self) -> None:
        if (fault := self.skip_fault) is not None:
            self.skip_fault = None
            raise fault
        self.waiting.clear()

    def messages(self, *, wait_s: float) -> list[ChatMessage]:
        self.clock.move(wait_s)
        self._fail()
        found, self.waiting = self.waiting, []
        return found

    def answer(self, html: str) -> None:
        if self.answer_fault is not None:
            raise self.answer_fault
        self.answers.append(html)

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


class FakeNotifier:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.fault: Exception | None = None

    def notify(self, message: Message) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append(message)


class Bench:
    """A monitor on fakes, with the real control store."""

    def __init__(self, folder: Path) -> None:
        url = sqlite_url(folder / "control.sqlite")
        self.clock = MovableClock()
        self.chat, self.notifier = FakeChat(self.clock), FakeNotifier()
        self.control, self.notices = SqlControl.open(url), SqlNotices.open(url)
        self.look_fault: Exception | None = None
        self.looked = 0
        self.monitor = Monitor(
            Parts(
                chat=self.chat, notifier=self.notifier, notices=self.notices, control=self.control, clock=self.clock, chat_id=CHAT,
                users={LISTED}, answer=self._answer, look=self._look,
            )
        )  # fmt: skip

    def say(self, text: str, *, user: int | None = LISTED, chat: int = CHAT) -> None:
        self.chat.waiting.append(ChatMessage(chat_id=chat, user_id=user, text=text, at=self.clock.wall_now()))

    def _answer(self, name: str, arguments: tuple[str, ...], user: int) -> str:
        assert user == LISTED
        return f"{name} {' '.join(arguments)}".strip()

    def _look(self) -> int:
        self.looked += 1
        if self.look_fault is not None:
            raise self.look_fault
        return 2

    def close(self) -> None:
        self.control.close()
        self.notices.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    structlog.reset_defaults()
    made.monitor.step()
    yield made
    made.close()


def test_step_given_a_command_of_a_listed_user_then_answers(bench: Bench) -> None:
    bench.say("/profit 7 backtest")

    bench.monitor.step()

    assert bench.chat.answers == ["profit 7 backtest"]


def test_step_given_another_member_of_the_group_then_refuses_and_reads_no_store(bench: Bench) -> None:
    bench.say("/stats", user=8)

    bench.monitor.step()

    assert len(bench.chat.answers) == 1
    assert "Not permitted" in bench.chat.answers[0]


def test_step_given_a_member_who_is_not_listed_asks_again_then_is_refused_once(bench: Bench) -> None:
    for _ in range(3):
        bench.say("/stats", user=8)
    bench.say("/stats", user=9)

    bench.monitor.step()

    assert len(bench.chat.answers) == 2


def test_step_given_a_stranger_then_answers_nothing_and_logs_no_content(bench: Bench) -> None:
    for _ in range(3):
        bench.say("/stats my password is hunter2", user=8, chat=8)
    with capture_logs() as logs:
        bench.monitor.step()

    assert bench.chat.answers == []
    assert [line for line in logs if line["event"] == "stranger_ignored"] == [
        {"event": "stranger_ignored", "chat": 8, "user": 8, "log_level": "warning"}
    ]
    assert "hunter2" not in str(logs)


def test_step_given_plain_talk_in_the_group_then_answers_nothing(bench: Bench) -> None:
    bench.say("hello", user=8)
    bench.say("hello")

    bench.monitor.step()

    assert bench.chat.answers == []


def test_first_step_given_commands_from_before_then_they_are_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.say("/stats")

    bench.monitor.step()
    bench.close()

    assert bench.chat.answers == []


def test_first_step_given_telegram_goes_away_in_between_then_commands_from_before_are_left_out_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.say("/halt all")
    bench.chat.skip_fault = NotifierBusyError("away")

    for _ in range(3):
        bench.monitor.step()
    bench.close()

    assert bench.chat.answers == []


def test_step_given_telegram_is_away_then_waits_longer_each_time_and_goes_on(bench: Bench) -> None:
    bench.chat.faults = [NotifierBusyError("away")] * 4
    times = []
    for _ in range(4):
        before = bench.clock.wall_now()
        bench.monitor.step()
        times.append((bench.clock.wall_now() - before).total_seconds() - 4.0)
    bench.say("/stats")

    bench.monitor.step()

    assert (times, bench.chat.answers) == ([1.0, 2.0, 4.0, 8.0], ["stats"])


def test_step_given_an_answer_that_is_not_taken_then_goes_on(bench: Bench) -> None:
    bench.chat.answer_fault = MessageRefusedError("message is too long")
    bench.say("/stats")

    bench.monitor.step()
    bench.chat.answer_fault = None
    bench.say("/pairs")
    bench.monitor.step()

    assert bench.chat.answers == ["pairs"]


@pytest.mark.parametrize("fault", [AlreadyRunningError("another process"), NotifierRefusedError("unknown token")])
def test_step_given_what_a_person_must_mend_then_ends(bench: Bench, fault: Exception) -> None:
    bench.chat.faults = [fault]

    with pytest.raises(type(fault)):
        bench.monitor.step()


def test_step_given_it_goes_on_then_its_beat_is_never_older_than_what_is_called_silent(bench: Bench) -> None:
    bench.chat.faults = [NotifierBusyError("away")] * 6
    ages = []
    for _ in range(8):
        beat = _beat(bench)
        bench.monitor.step()
        ages.append(_beat(bench).wall_at - beat.wall_at)

    assert max(ages) < STALE


def test_beat_given_telegram_away_and_back_then_its_state_says_so(bench: Bench) -> None:
    assert _beat(bench).state == LISTENING
    bench.chat.faults = [NotifierBusyError("away")]

    bench.monitor.step()
    assert _beat(bench).state == UNREACHED
    bench.monitor.step()

    assert (_beat(bench).state, _beat(bench).detail["users"]) == (LISTENING, 1)


def _beat(bench: Bench) -> Any:
    (beat,) = bench.control.heartbeats()
    return beat


def test_step_given_notices_wait_then_tells_them(bench: Bench) -> None:
    bench.notices.queue(Notice(key="k", message=Message(title="Run failed"), at=bench.clock.wall_now(), quiet=timedelta(0)))

    bench.monitor.step()

    assert [message.title for message in bench.notifier.told] == ["Run failed"]


def test_beat_given_a_chat_that_is_refused_then_says_what_to_mend(bench: Bench) -> None:
    bench.notices.queue(Notice(key="k", message=Message(title="Run failed"), at=bench.clock.wall_now(), quiet=timedelta(0)))
    bench.notifier.fault = NotifierRefusedError("bot was kicked")

    bench.monitor.step()
    bench.monitor.step()

    assert {name: _beat(bench).detail[name] for name in ("waiting", "refused", "dropped")} == {
        "waiting": 1, "refused": "bot was kicked", "dropped": 0,
    }  # fmt: skip


def test_step_given_time_passes_then_looks_now_and_then(bench: Bench) -> None:
    for _ in range(10):
        bench.monitor.step()

    assert bench.looked == pytest.approx(1 + 40.0 / LOOK_EVERY.total_seconds(), abs=2)


def test_step_given_the_stores_are_away_then_says_so_once_without_them_and_once_when_they_are_back(bench: Bench) -> None:
    bench.look_fault = StoreBusyError("the database is locked")
    for _ in range(60):
        bench.monitor.step()
    assert [message.lines[0] for message in bench.notifier.told] == [
        "The stores have been unavailable since 00:00:16 UTC: the database is locked"
    ]

    bench.look_fault = None
    for _ in range(10):
        bench.monitor.step()

    assert [message.title for message in bench.notifier.told] == ["Alert", "Resolved"]
    assert STORES_AWAY > LOOK_EVERY
