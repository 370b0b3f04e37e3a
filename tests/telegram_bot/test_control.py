"""Nothing is sent to the daemon but what the same user confirmed, once, in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.ports.control import Heartbeat
from telegram_bot.commands import CommandHandler
from telegram_bot.control import LIFE, Control
from telegram_bot.home import BotHome
from telegram_bot.page import rendered
from tests.clocks import MovableClock

BOTS = ("BOT1", "BOT2", "BOT3")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock, self.store = MovableClock(), SqlControl.open(sqlite_url(folder / "control.sqlite"))
        codes = iter(f"{number:06d}" for number in range(100_000, 999_999))
        self.codes: list[str] = []

        def new_code() -> str:
            self.codes.append(next(codes))
            return self.codes[-1]

        self.control = Control(self.store, clock=self.clock, bots=BOTS, new_code=new_code)

    def beat(self) -> None:
        at = self.clock.wall_now()
        states = {f"{bot}_state": "active" for bot in BOTS}
        self.store.beat(Heartbeat(process="execution", pid=1, started_at=at, wall_at=at, market_at=at, state="trading", detail=states))

    def say(self, text: str, *, user: int = 7) -> str:
        name, *arguments = text.split()
        return rendered(self.control.answer(name, arguments, user=user))

    def sent(self) -> list[tuple[str, str]]:
        return [(bot, command) for bot in BOTS for _, command, _ in self.store.take_commands(bot, at=self.clock.wall_now())]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.beat()
    yield made
    made.store.close()


def test_command_given_no_confirmation_then_shows_the_state_and_sends_nothing(bench: Bench) -> None:
    text = bench.say("pause BOT3")

    assert "BOT3 is active" in text
    assert f"/confirm {bench.codes[0]} within 30 s" in text
    assert bench.sent() == []


@pytest.mark.parametrize("command", ["pause", "halt", "resume"])
def test_command_given_its_code_then_is_sent_once(bench: Bench, command: str) -> None:
    bench.say(f"{command} BOT3")

    assert "is queued" in bench.say(f"confirm {bench.codes[0]}")
    assert "Refused" in bench.say(f"confirm {bench.codes[0]}")
    assert bench.sent() == [("BOT3", command)]


def test_command_given_all_then_every_bot_is_meant(bench: Bench) -> None:
    bench.say("halt all")
    bench.say(f"confirm {bench.codes[0]}")

    assert bench.sent() == [(bot, "halt") for bot in BOTS]


@pytest.mark.parametrize("text", ["pause", "pause BOT9", "pause BOT1 BOT2"])
def test_command_given_no_bot_then_says_which_there_are(bench: Bench, text: str) -> None:
    assert "BOT1, BOT2, BOT3, or all" in bench.say(text)
    assert bench.codes == []


def test_confirm_given_it_comes_too_late_then_is_refused(bench: Bench) -> None:
    bench.say("halt BOT1")
    bench.clock.move(LIFE.total_seconds() + 1.0)

    assert "Refused" in bench.say(f"confirm {bench.codes[0]}")
    assert bench.sent() == []


def test_confirm_given_another_user_then_is_refused_and_the_first_may_still(bench: Bench) -> None:
    bench.say("halt BOT1", user=7)

    assert "Refused" in bench.say(f"confirm {bench.codes[0]}", user=8)
    bench.say(f"confirm {bench.codes[0]}", user=7)

    assert bench.sent() == [("BOT1", "halt")]


def test_confirm_given_a_wrong_code_then_the_right_one_is_refused_too(bench: Bench) -> None:
    bench.say("resume BOT1")
    bench.say("confirm 000000")

    assert "Refused" in bench.say(f"confirm {bench.codes[0]}")
    assert bench.sent() == []


def test_resume_given_a_silent_daemon_then_is_refused_also_if_it_fell_silent_meanwhile(bench: Bench) -> None:
    bench.say("resume BOT1")
    bench.clock.move(20.0)
    assert "has stopped sending heartbeats" in bench.say(f"confirm {bench.codes[0]}")
    assert "The daemon sends no heartbeat" in bench.say("resume BOT1")

    bench.say("halt BOT1")

    assert "will take the command when it starts" in bench.say(f"confirm {bench.codes[-1]}")
    assert bench.sent() == [("BOT1", "halt")]


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["halt BOT1", "resume BOT2", "old", "new", "wrong", "wait"]), st.integers(7, 8)), max_size=20)
)
def test_control_given_any_talk_then_sends_no_more_than_was_confirmed_in_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    bench, allowed = Bench(tmp_path_factory.mktemp("control")), 0
    asked: dict[int, tuple[str, object]] = {}
    for step, user in steps:
        bench.beat()
        if step == "wait":
            bench.clock.move(12.0)
        elif step in {"old", "new", "wrong"}:
            code = {"old": bench.codes[:1], "new": bench.codes[-1:], "wrong": []}[step] or ["999999"]
            wish = asked.pop(user, None)
            allowed += wish is not None and wish[0] == code[0] and bench.clock.wall_now() <= wish[1]  # type: ignore[operator]
            bench.say(f"confirm {code[0]}", user=user)
        else:
            bench.say(step, user=user)
            asked[user] = (bench.codes[-1], bench.clock.wall_now() + timedelta(seconds=30))
    sent = bench.sent()
    bench.store.close()

    assert len(sent) == allowed


def test_desk_given_control_is_off_then_knows_no_such_command(home: BotHome) -> None:
    desk = CommandHandler(home)

    for name in ("pause", "halt", "resume", "confirm"):
        assert "Unknown command" in desk.answer(name, ["BOT1"], user=7)
        assert f"/{name}" not in desk.answer("help", [], user=7)


def test_desk_given_control_is_on_then_help_names_it_and_says_how(home: BotHome, bench: Bench) -> None:
    desk = CommandHandler(home, control=bench.control)

    assert "/halt BOT|all" in desk.answer("help", [], user=7)
    assert "/confirm CODE" in desk.answer("help", [], user=7)
    assert "pause BOT1?" in desk.answer("pause", ["BOT1"], user=7)
