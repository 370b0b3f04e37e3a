"""Is the published copy equal: asked now and then, each difference named with its remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.errors import StoreBusyError
from bot3.ports.publisher import OutboxSpan
from bot3.usecases.publishing.check import PublishedCheck, TradesCheck
from telegram_bot.copies import EVERY, CopyWatch
from tests.clocks import MovableClock

EQUAL = PublishedCheck(missing=(), extra=(), differing=(), trades={}, waiting=0)
SHORT = TradesCheck(record=2_448, published=1_015, missing=(1, 2), extra=(), changed=())


class FakeCopy:
    def __init__(self, *, is_configured: bool = True) -> None:
        self.is_configured, self.asked = is_configured, 0
        self.check_of: PublishedCheck | Exception = EQUAL
        self.span_of: OutboxSpan | None = None

    def check(self, *, now: object) -> PublishedCheck:  # noqa: ARG002  # as it is asked
        self.asked += 1
        if isinstance(self.check_of, Exception):
            raise self.check_of
        return self.check_of

    def span(self) -> OutboxSpan | None:
        return self.span_of


class Desk:
    def __init__(self, folder: Path, copy: FakeCopy) -> None:
        self.copy, self.clock, self.letters = copy, MovableClock(), folder / "dead_letters.jsonl"
        self.restart()

    def restart(self, *, differed: str = "") -> None:
        self.watch = CopyWatch(self.copy, self.copy, letters=self.letters, differed=differed)

    def look(self, *, after: timedelta = EVERY) -> list[tuple[str, str]]:
        self.clock.move(after.total_seconds())
        found = self.watch.look(now=self.clock.now(), wall_now=self.clock.wall_now())
        return [(alert.key, alert.text) for alert in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, FakeCopy())


def test_look_given_no_copy_then_asks_nothing(tmp_path: Path) -> None:
    copy = FakeCopy(is_configured=False)

    assert Desk(tmp_path, copy).look() == []
    assert copy.asked == 0


def test_look_given_an_equal_copy_then_finds_nothing_and_asks_seldom(desk: Desk) -> None:
    found = [desk.look(after=timedelta(seconds=10)) for _ in range(60)]

    assert found == [[]] * 60
    assert desk.copy.asked == 2


def test_look_given_trades_that_are_missing_then_says_how_many_of_whom(desk: Desk) -> None:
    desk.copy.check_of = PublishedCheck(missing=(), extra=(), differing=("parameters",), trades={"BOT3": SHORT}, waiting=0)

    assert desk.look() == [("copy|differs", "InfluxDB is not equal to the record: trades of BOT3 1,015 of 2,448; parameters.")]


def test_look_given_writes_that_wait_then_a_difference_is_only_a_delay(desk: Desk) -> None:
    desk.copy.check_of = PublishedCheck(missing=(), extra=(), differing=("parameters",), trades={}, waiting=3)

    assert desk.look() == []


def test_look_given_nothing_was_published_between_two_looks_then_it_is_behind(desk: Desk) -> None:
    desk.copy.span_of = OutboxSpan(since=4, until=6, writes=2)
    assert desk.look() == []

    desk.copy.span_of = OutboxSpan(since=4, until=16, writes=12)

    assert desk.look() == [("copy|behind", "InfluxDB is behind: 12 writes of the record are pending for more than 5 min.")]


def test_look_given_writes_come_and_are_published_then_it_is_not_behind(desk: Desk) -> None:
    for revision in range(5):
        desk.copy.span_of = OutboxSpan(since=revision, until=revision + 1, writes=1)
        assert desk.look() == []


def test_look_given_a_server_that_is_away_then_it_is_not_called_equal(desk: Desk) -> None:
    desk.copy.check_of = StoreBusyError("InfluxDB at 127.0.0.1:8086 does not answer")

    assert [key for key, _ in desk.look()] == ["copy|away"]


DIFFERING = PublishedCheck(missing=(), extra=(), differing=("parameters",), trades={}, waiting=0)


@pytest.mark.parametrize("hindrance", ["waits", "behind", "away"])
def test_look_given_a_difference_and_then_no_comparison_then_it_stands_until_one_says_equal(desk: Desk, hindrance: str) -> None:
    desk.copy.check_of, desk.copy.span_of = DIFFERING, OutboxSpan(since=4, until=6, writes=2)
    ((key, told),) = desk.look()
    desk.letters.touch()
    desk.copy.span_of = OutboxSpan(since=4 if hindrance == "behind" else 5, until=6, writes=1)
    desk.copy.check_of = replace(EQUAL, waiting=3) if hindrance == "waits" else StoreBusyError("away")

    found = desk.look()
    desk.copy.check_of, desk.copy.span_of = EQUAL, None
    over = desk.look()

    assert key == "copy|differs"
    assert found[-2:] == [(key, told), ("copy|refused", "InfluxDB rejected points: they are stored as dead letters.")]
    assert [key for key, _ in over] == ["copy|refused"]


def test_look_given_a_restart_then_a_difference_that_was_told_stands_until_a_comparison(desk: Desk) -> None:
    desk.restart(differed="InfluxDB is not equal to the record: parameters.")
    desk.copy.check_of = StoreBusyError("away")

    assert ("copy|differs", "InfluxDB is not equal to the record: parameters.") in desk.look()


def test_look_given_refused_points_then_says_so(desk: Desk) -> None:
    desk.letters.touch()

    assert [key for key, _ in desk.look()] == ["copy|refused"]
