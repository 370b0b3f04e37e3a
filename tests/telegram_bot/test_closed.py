"""Closed trades are told once each, also over restarts and where several close at one instant."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.ports.notifier import Message
from bot3.trading.trades import RunMode, Trade
from bot3.wiring import Platform, open_platform
from telegram_bot.closed import CloseWatch
from telegram_bot.home import BotHome
from tests.dashboard.homes import NOW, closes, settings_of


@pytest.fixture
def platform(filled: Path, tmp_path: Path) -> Iterator[Platform]:
    with open_platform(settings_of(Path(shutil.copytree(filled, tmp_path / "home")))) as platform:
        yield platform


def watch(platform: Platform) -> CloseWatch:
    return CloseWatch(BotHome(platform), platform.notices)


def close(platform: Platform, *numbers: int, minutes_ago: float) -> None:
    store = platform.bot_store("BOT1")
    at = NOW - timedelta(minutes=minutes_ago)
    made = closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=len(numbers), seed=4)
    store.import_trades([_moved(trade, number, at=at) for trade, number in zip(made, numbers, strict=True)])


def _moved(trade: Trade, number: int, *, at: object) -> Trade:
    return replace(trade, trade_id=number, close_date=at, close_profit=-0.0123, close_profit_abs=-1.23)  # type: ignore[arg-type]


def told(platform: Platform) -> list[Message]:
    found = []
    while (taken := platform.notices.take(now=platform.wall_now(), hold=timedelta(minutes=1))) is not None:
        platform.notices.mark_sent(taken.notice_id, at=platform.wall_now())
        found.append(taken.message)
    return found


def look(watch: CloseWatch, platform: Platform) -> list[Message]:
    watch.step(wall_now=platform.wall_now())
    return told(platform)


def test_watch_given_history_then_tells_none_of_it(platform: Platform) -> None:
    assert look(watch(platform), platform) == []


def test_watch_given_a_close_then_tells_it_once_without_a_sound(platform: Platform) -> None:
    watching = watch(platform)
    look(watching, platform)
    close(platform, 901, minutes_ago=5)

    (message,) = look(watching, platform)

    assert message.title == "BOT1 closed 1: -1.23 USDT (paper)"
    assert message.is_silent
    assert "trade 901, ALFA/USDT long 1.5x: -1.23 % of the stake, -1.23 USDT" in message.lines[0]
    assert look(watching, platform) == []


def test_watch_given_two_commits_of_one_instant_then_tells_both(platform: Platform) -> None:
    watching = watch(platform)
    look(watching, platform)

    close(platform, 901, minutes_ago=5)
    first = look(watching, platform)
    close(platform, 902, minutes_ago=5)
    second = look(watching, platform)

    assert ["trade 901" in first[0].lines[0], "trade 902" in second[0].lines[0]] == [True, True]


def test_watch_given_a_restart_then_tells_what_closed_meanwhile_and_nothing_twice(platform: Platform) -> None:
    look(watch(platform), platform)
    close(platform, 901, minutes_ago=5)
    look(watch(platform), platform)
    close(platform, 902, minutes_ago=4)

    (message,) = look(watch(platform), platform)

    assert [line.split(",")[0] for line in message.lines] == ["trade 902"]


def test_watch_given_a_bot_whose_database_cannot_be_read_then_tells_of_the_others(filled: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(filled, tmp_path / "home"))
    for path in (home / "bots").glob("BOT2.sqlite*"):
        path.unlink()
    with open_platform(settings_of(home)) as writers:
        close(writers, 901, minutes_ago=5)
        with open_platform(settings_of(home), read_only=True) as readers:
            watching = CloseWatch(BotHome(readers), writers.notices)
            watching.step(wall_now=writers.wall_now())
            close(writers, 902, minutes_ago=4)

            (message,) = look(watching, writers)

    assert message.lines[0].startswith("trade 902")


def test_watch_given_many_then_lists_ten_and_counts_the_rest(platform: Platform) -> None:
    watching = watch(platform)
    look(watching, platform)
    close(platform, *range(901, 926), minutes_ago=5)

    (message,) = look(watching, platform)

    assert (message.title.startswith("BOT1 closed 25: "), len(message.lines), message.lines[-1]) == (True, 11, "and 15 more")
