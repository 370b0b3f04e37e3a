"""The market clock: it runs at its speed, stands still when paused, and passes no time in which nobody ran."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.clocks.market import MarketClock, pause_clock, resume_clock, start_clock
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import SettingsError, StoreBusyError, StoreError
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat
from tests.clocks import MovableClock
from tests.journals import OPENED


@pytest.fixture
def control(tmp_path: Path) -> Iterator[SqlControl]:
    control = SqlControl.open(sqlite_url(tmp_path / "control.sqlite"))
    yield control
    control.close()


@pytest.fixture
def wall() -> MovableClock:
    return MovableClock()


def start(control: SqlControl, wall: MovableClock, *, ends_at: datetime | None = None) -> MarketClock:
    start_clock(control, source=ClockSource.SIMULATED, market_at=OPENED, speed=60.0, ends_at=ends_at, wall=wall)
    return MarketClock(control, wall=wall)


def beat(control: SqlControl, wall: MovableClock, clock: MarketClock) -> None:
    control.beat(
        Heartbeat(
            process="BOT1", pid=1, started_at=wall.wall_now(), wall_at=wall.wall_now(), market_at=clock.now(), state="running", detail={}
        )
    )


def seconds(clock: MarketClock) -> float:
    return (clock.now() - OPENED).total_seconds()


def test_now_given_wall_time_passes_then_runs_at_its_speed(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)

    clock.sleep(10.0)

    assert (seconds(clock), clock.speed, clock.wall_now()) == (600.0, 60.0, wall.wall_now())


@pytest.mark.parametrize("ends_after", [None, timedelta(minutes=5), timedelta(minutes=-5)])
def test_start_clock_given_it_shall_stand_still_then_is_set_exactly_and_not_past_its_end(
    control: SqlControl, wall: MovableClock, ends_after: timedelta | None
) -> None:
    ends_at = None if ends_after is None else OPENED + ends_after
    facts = {"source": ClockSource.SIMULATED, "market_at": OPENED, "speed": 3_000.0, "ends_at": ends_at}

    start_clock(control, **facts, is_running=False, wall=wall)

    wall.sleep(10.0)
    assert MarketClock(control, wall=wall).now() == OPENED + min(ends_after or timedelta(0), timedelta(0))


def test_now_given_its_end_then_stands_there(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall, ends_at=OPENED + timedelta(minutes=5))

    wall.move(3_600.0)

    assert seconds(clock) == 300.0


def test_now_given_the_wall_source_then_is_wall_time(control: SqlControl, wall: MovableClock) -> None:
    start_clock(control, source=ClockSource.WALL, market_at=OPENED, speed=9.0, wall=wall)
    clock = MarketClock(control, wall=wall)

    wall.move(5.0)

    assert (clock.now(), clock.speed) == (wall.wall_now(), 1.0)


def test_now_given_a_pause_and_a_resume_then_market_time_goes_on_where_it_stopped(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)
    wall.move(10.0)
    pause_clock(control, wall=wall)
    wall.move(100.0)
    assert seconds(clock) == 600.0

    resume_clock(control, wall=wall)
    wall.move(1.0)

    assert seconds(clock) == 660.0


def test_resume_clock_given_a_kill_then_goes_on_from_the_newest_heartbeat(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)
    wall.move(10.0)
    beat(control, wall, clock)
    wall.move(86_400.0)

    resume_clock(control, wall=wall)

    assert seconds(MarketClock(control, wall=wall)) == 600.0


def test_resume_clock_given_heartbeats_of_an_earlier_run_then_ignores_them(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)
    wall.move(10.0)
    beat(control, wall, clock)
    wall.move(1.0)
    start(control, wall)

    resume_clock(control, wall=wall)

    assert seconds(MarketClock(control, wall=wall)) == 0.0


def test_now_given_a_process_that_outlived_a_resume_then_follows(control: SqlControl, wall: MovableClock) -> None:
    survivor = start(control, wall)
    wall.move(10.0)
    beat(control, wall, survivor)
    wall.move(3_600.0)
    survivor.now()

    resume_clock(control, wall=wall)
    wall.move(1.0)

    assert seconds(survivor) == 660.0


def test_now_given_a_reader_that_is_a_moment_ahead_of_a_pause_then_waits(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)
    clock.now()
    pause_clock(control, wall=wall)
    wall.move(0.1)
    ahead = clock.now()

    wall.move(0.2)

    assert clock.now() == ahead


def test_pause_clock_given_the_wall_clock_was_set_back_then_pauses_at_the_time_of_the_newest_heartbeat(
    control: SqlControl, wall: MovableClock
) -> None:
    clock = start(control, wall)
    wall.move(60.0)
    beat(control, wall, clock)

    wall.move(-50.0)
    pause_clock(control, wall=wall)

    assert seconds(MarketClock(control, wall=wall)) == 3_600.0


@given(moves=st.lists(st.tuples(st.floats(min_value=-30.0, max_value=30.0), st.booleans()), max_size=12))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_now_given_any_moves_and_pauses_then_never_runs_backwards(
    moves: list[tuple[float, bool]], control: SqlControl, wall: MovableClock
) -> None:
    clock = start(control, wall)
    last, is_running = clock.now(), True
    for by, toggles in moves:
        wall.move(by)
        if toggles:
            (pause_clock if is_running else resume_clock)(control, wall=wall)
            is_running = not is_running
        now = clock.now()
        assert now >= last
        last = now


def test_now_given_a_clock_never_started_then_names_the_remedy(control: SqlControl, wall: MovableClock) -> None:
    with pytest.raises(StoreError, match="bot3 init"):
        MarketClock(control, wall=wall).now()


class UnavailableControl(SqlControl):
    """A control store that can be switched off."""

    is_available = True

    def anchor(self) -> ClockAnchor | None:
        if not self.is_available:
            raise StoreBusyError("the control store cannot be reached")
        return super().anchor()


@pytest.fixture
def unavailable(tmp_path: Path) -> Iterator[UnavailableControl]:
    control = UnavailableControl.open(sqlite_url(tmp_path / "control.sqlite"))
    yield control
    control.close()


def test_now_given_a_control_store_that_becomes_unavailable_then_time_goes_on(unavailable: UnavailableControl, wall: MovableClock) -> None:
    clock = start(unavailable, wall)
    clock.now()
    unavailable.is_available = False

    wall.move(300.0)

    assert (seconds(clock), clock.speed) == (18_000.0, 60.0)


def test_now_given_the_control_store_is_available_again_then_follows_what_was_set_meanwhile(
    unavailable: UnavailableControl, wall: MovableClock
) -> None:
    clock = start(unavailable, wall)
    clock.now()
    unavailable.is_available = False
    wall.move(10.0)
    clock.now()

    unavailable.is_available = True
    pause_clock(unavailable, wall=wall)
    wall.move(5.0)

    assert seconds(clock) == 600.0


def test_now_given_a_control_store_that_was_never_available_then_says_so(unavailable: UnavailableControl, wall: MovableClock) -> None:
    start(unavailable, wall)
    unavailable.is_available = False

    with pytest.raises(StoreBusyError):
        MarketClock(unavailable, wall=wall).now()


@pytest.mark.parametrize("column", ["source = 'sundial'", "speed = 0", "market_at_us = 9e18"])
def test_now_given_an_anchor_that_cannot_be_then_keeps_the_last_good_one(
    control: SqlControl, wall: MovableClock, tmp_path: Path, column: str
) -> None:
    clock = start(control, wall)
    clock.now()
    database = sqlite3.connect(tmp_path / "control.sqlite")
    with database:
        database.execute(f"UPDATE clock_anchor SET {column}")  # noqa: S608
    database.close()

    wall.move(10.0)

    assert seconds(clock) == 600.0
    with pytest.raises(StoreError, match="a row of clock_anchor is invalid"):
        control.anchor()


def test_start_clock_given_no_speed_then_refuses(control: SqlControl, wall: MovableClock) -> None:
    with pytest.raises(SettingsError, match="above 0"):
        start_clock(control, source=ClockSource.SIMULATED, market_at=OPENED, speed=0.0, wall=wall)


def test_resumed_clock_given_another_speed_then_goes_on_at_it(control: SqlControl, wall: MovableClock) -> None:
    clock = start(control, wall)
    pause_clock(control, wall=wall)

    resume_clock(control, speed=600.0, wall=wall)

    wall.sleep(2.0)
    assert clock.now() == OPENED + timedelta(seconds=1_200)
