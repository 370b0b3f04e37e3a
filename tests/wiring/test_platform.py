"""The platform of a home: what it opens, what it refuses, and which market it stands on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot3.errors import SettingsError, StoreError
from bot3.ports.control import ClockSource
from bot3.settings import BOT_NAMES
from bot3.trading.trades import RunMode
from bot3.wiring import SIMULATED_START, is_seeded, open_platform
from tests.seeded import seeded_home, tiny_settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_open_platform_read_only_given_an_empty_home_then_makes_nothing(home: Path) -> None:
    with open_platform(tiny_settings(home), read_only=True) as platform, pytest.raises(StoreError):
        platform.record.revision()

    assert not home.exists()


def test_is_seeded_given_stores_without_a_finished_seed_then_is_not(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform:
        platform.record.revision()

    assert not is_seeded(tiny_settings(home))


def test_seeded_until_given_a_damaged_file_then_names_it(home: Path) -> None:
    home.mkdir()
    (home / "home.json").write_text('{"seeded_until": 5}')

    with open_platform(tiny_settings(home)) as platform, pytest.raises(StoreError, match=r"home\.json"):
        _ = platform.seeded_until


def test_clock_given_no_seed_then_says_what_starts_it(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform, pytest.raises(StoreError, match="bot3 init"):
        platform.clock.now()


def test_set_clock_given_a_time_then_the_market_stands_there(home: Path) -> None:
    at = SIMULATED_START + timedelta(days=3)

    with open_platform(tiny_settings(home)) as platform:
        platform.set_clock(at)

        assert timedelta(0) <= platform.clock.now() - at < timedelta(minutes=5)
        assert platform.clock_source is ClockSource.SIMULATED
        anchor = platform.control.anchor()
    assert anchor is not None
    assert not anchor.is_running


def test_stores_of_a_bot_are_told_apart_by_run_mode_and_account(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform:
        own, history = platform.bot_store("BOT1"), platform.history_store("BOT1")

        assert (own.run_mode, history.run_mode) == (RunMode.PAPER, RunMode.BACKTEST)
        assert own.account != history.account
        assert own.store_id != history.store_id


def test_profiles_given_the_settings_then_bot1_goes_long_bot2_short_and_bot3_both_ways(home: Path) -> None:
    with open_platform(tiny_settings(home, leverage_cap=4.0)) as platform:
        profiles = {name: platform.profile(name) for name in BOT_NAMES}

    assert [sorted(profiles[name].directions) for name in BOT_NAMES] == [["long"], ["short"], ["long", "short"]]
    assert [profiles[name].is_learned for name in BOT_NAMES] == [False, False, True]
    assert {profile.leverage_cap for profile in profiles.values()} == {4.0}


def test_require_bot_given_another_name_then_names_the_bots(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform, pytest.raises(SettingsError, match="BOT1, BOT2, BOT3"):
        platform.bot_store("BOT33")


def test_simulated_market_given_a_seed_then_has_no_end_and_a_span_of_the_settings(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform:
        start, end = platform.history_span()

        assert platform.market_end() is None
        assert end - start == timedelta(days=42)


@pytest.mark.slow
def test_unsynced_closes_given_a_seeded_home_then_none_waits() -> None:
    with open_platform(tiny_settings(seeded_home()), read_only=True) as platform:
        assert platform.unsynced_closes() == 0
