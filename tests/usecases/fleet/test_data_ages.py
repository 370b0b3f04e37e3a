"""How old the newest candle, close and publication are, in wall time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.clocks.market import market_time
from bot3.ports.control import ClockAnchor, ClockSource
from bot3.usecases.fleet.data_ages import newest_close_age, read_data_ages, wall_age
from bot3.usecases.fleet.home import FleetHome
from bot3.wiring import open_platform
from tests.dashboard.homes import NOW, a_beat, make_home

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
FAST = ClockAnchor(source=ClockSource.REPLAYED, wall_at=NOON, market_at=NOW, speed=60.0, is_running=True)


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.sampled_from([0.5, 1.0, 60.0, 600.0]))
def test_wall_age_given_any_instant_that_the_clock_showed_then_is_the_wall_time_since(shown: float, later: float, speed: float) -> None:
    anchor = replace(FAST, speed=speed)
    at = market_time(anchor, wall=NOON + timedelta(seconds=shown))

    age = wall_age(at, anchor=anchor, wall_now=NOON + timedelta(seconds=shown + later))

    assert abs(age.total_seconds() - later) < 1e-3


def test_wall_age_given_a_replay_that_ended_then_goes_on_ageing() -> None:
    ended = replace(FAST, ends_at=NOW + timedelta(hours=1))
    last = market_time(ended, wall=NOON + timedelta(days=3))

    assert wall_age(last, anchor=ended, wall_now=NOON + timedelta(days=3)) == timedelta(days=3) - timedelta(minutes=1)


def counts(*rows: tuple[str, str, datetime]) -> pd.DataFrame:
    return pd.DataFrame([{"bot": bot, "run_mode": mode, "last_close": pd.Timestamp(closed)} for bot, mode, closed in rows])


def test_newest_close_age_given_own_and_fleet_bots_then_each_is_of_its_own_clock_and_backtests_are_none() -> None:
    found = counts(("BOT1", "paper", NOW - timedelta(hours=1)), ("BOT1", "backtest", NOW), ("GRID-7", "live", NOON - timedelta(minutes=5)))

    assert newest_close_age(found, own=("BOT1",), anchor=FAST, wall_now=NOON) == timedelta(minutes=1)
    assert newest_close_age(found.iloc[1:], own=("BOT1",), anchor=FAST, wall_now=NOON) == timedelta(minutes=5)
    assert newest_close_age(found.iloc[1:2], own=("BOT1",), anchor=FAST, wall_now=NOON) is None


def test_read_data_ages_given_a_beat_of_a_moment_ago_then_the_candles_age_is_not_the_beats(tmp_path: Path) -> None:
    with open_platform(make_home(tmp_path, trades_per_bot=3)) as platform:
        wall = platform.clock.wall_now()
        anchor = platform.control.anchor()
        assert anchor is not None
        old = a_beat(wall, last_candle=(NOW - timedelta(hours=2)).isoformat())

        ages = read_data_ages(FleetHome(platform), anchor=anchor, beats=(old,), wall_now=wall)
        none = read_data_ages(FleetHome(platform), anchor=anchor, beats=(), wall_now=wall)

    assert ages.candle is not None
    assert ages.close is not None
    assert timedelta(hours=2) <= ages.candle < timedelta(hours=2, minutes=10)
    assert timedelta(minutes=59) <= ages.close < timedelta(hours=3)
    assert ages.publication is not None
    assert none.candle is None
