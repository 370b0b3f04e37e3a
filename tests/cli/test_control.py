"""Commands that change something: queued for the daemon, refused without a yes, and taken back by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.wiring import open_platform
from tests.cli.commands import bot3
from tests.seeded import tiny_settings

pytestmark = pytest.mark.slow  # processes on a seeded home


def queued(home: Path) -> list[tuple[str, str, str]]:
    """Take what is queued, as the daemon does."""
    with open_platform(tiny_settings(home)) as platform:
        at = platform.clock.wall_now()
        return [
            (bot, command, argument) for bot in platform.bot_names for _, command, argument in platform.control.take_commands(bot, at=at)
        ]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("pause", "BOT3"), ("BOT3", "pause", "")),
        (("halt", "BOT1"), ("BOT1", "halt", "")),
        (("resume", "BOT2", "--yes"), ("BOT2", "resume", "")),
        (("exit", "BOT3", "12", "--yes"), ("BOT3", "force_exit", "12")),
    ],
    ids=str,
)
def test_control_given_a_command_then_queues_it_for_the_daemon(
    home: Path, arguments: tuple[str, ...], command: tuple[str, str, str]
) -> None:
    ended = bot3(*arguments, home=home)

    assert ended.code == 0
    assert queued(home) == [command]


@pytest.mark.parametrize("arguments", [("resume", "BOT2"), ("exit", "BOT3", "12")], ids=" ".join)
def test_control_given_no_terminal_and_no_yes_then_refuses(home: Path, arguments: tuple[str, ...]) -> None:
    ended = bot3(*arguments, home=home, given="y\n")

    assert ended.code == 5
    assert "confirm with --yes" in ended.said
    assert queued(home) == []


def test_control_given_no_bot_of_that_name_then_queues_nothing(home: Path) -> None:
    ended = bot3("halt", "BOT7", home=home)

    assert ended.code == 2
    assert "the bots are BOT1, BOT2, BOT3" in ended.said
    assert queued(home) == []


def test_clock_given_start_and_pause_then_the_market_has_gone_on(home: Path) -> None:
    with open_platform(tiny_settings(home), read_only=True) as platform:
        before = platform.clock.now()

    started, paused = bot3("clock", "start", home=home), bot3("clock", "pause", home=home)

    with open_platform(tiny_settings(home), read_only=True) as platform:
        anchor, after = platform.control.anchor(), platform.clock.now()
    assert (started.code, paused.code) == (0, 0)
    assert anchor is not None
    assert not anchor.is_running
    assert after > before


def test_learn_run_given_a_seeded_home_then_publishes_anew(home: Path) -> None:
    with open_platform(tiny_settings(home), read_only=True) as platform:
        before = platform.record.revision()

    ended = bot3("learn", "run", "--json", home=home)

    with open_platform(tiny_settings(home), read_only=True) as platform:
        revision = platform.record.revision()
    assert ended.code == 0
    assert ended.json()["revision"] == revision > before
