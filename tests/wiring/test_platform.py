"""The platform of a home: what it opens, what it refuses, and which market it stands on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot3.adapters.files.candle_format import write_candles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import DataError, SettingsError, StoreError
from bot3.ports.control import ClockSource
from bot3.ports.record import ModelEntry
from bot3.settings import BOT_NAMES
from bot3.trading.trades import RunMode
from bot3.usecases.seed.home import SeedParts, seed_home
from bot3.wiring import SIMULATED_START, Platform, finish_restore, is_seeded, mark_restoring, open_platform
from tests.seeded import copy_of_home, seeded_home, tiny_settings


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


def test_open_platform_given_an_interrupted_restore_then_refuses_until_it_is_complete(home: Path) -> None:
    settings = tiny_settings(home)
    mark_restoring(settings)

    for read_only in (False, True):
        with pytest.raises(DataError, match="was interrupted: delete that directory"), open_platform(settings, read_only=read_only):
            pass
    assert [path.name for path in home.iterdir()] == ["restoring"]
    finish_restore(settings, market_at=SIMULATED_START)
    with open_platform(settings) as platform:
        assert platform.control.anchor() is not None


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


def begin_seed(platform: Platform) -> SeedParts:
    """Begin a seed and stop it after its first model."""
    parts = platform.seed_parts()
    model = ModelEntry(
        feeder_id="F01",
        digest="0" * 64,
        known_at=parts.start,
        trained_from=parts.start,
        trained_until=parts.start,
        rows=1,
        log_loss_oof=0.6,
        base_log_loss_oof=0.7,
        information="rule only",
        long_threshold=0.0,
        short_threshold=0.001,
        settings_digest="0",
        computed_at=parts.start,
    )
    platform.record.models.register(model)
    return parts


def test_seed_parts_given_a_stopped_seed_and_another_stop_then_refuses_and_names_it(home: Path) -> None:
    with open_platform(tiny_settings(home)) as begun:
        begin_seed(begun)

    with (
        open_platform(tiny_settings(home, stop_loss=-0.05)) as other,
        pytest.raises(SettingsError, match=r"BOT3_STOP_LOSS was -0\.03, is -0\.05"),
    ):
        other.seed_parts()


def test_seed_parts_given_a_stopped_seed_that_made_nothing_then_takes_other_settings(home: Path) -> None:
    with open_platform(tiny_settings(home)) as begun:
        begun.seed_parts()

    with open_platform(tiny_settings(home, seed_days=49)) as other:
        parts = other.seed_parts()

    assert parts.end - parts.start == timedelta(days=49)


def test_seed_parts_given_a_complete_home_and_other_settings_then_is_let_be(home: Path) -> None:
    with open_platform(tiny_settings(home)) as begun:
        begin_seed(begun)
        begun.finish_seed()

    with open_platform(tiny_settings(home, stop_loss=-0.05)) as other:
        assert other.seed_parts().profiles["BOT1"].stop_loss == -0.05


def test_finish_seed_given_candles_came_meanwhile_then_ends_where_the_seed_did(home: Path, tmp_path: Path) -> None:
    settings = tiny_settings(home, candles=str(tmp_path / "candles"))
    keep_candles(tmp_path / "candles", days=50)
    with open_platform(settings) as begun:
        parts = begin_seed(begun)
    keep_candles(tmp_path / "candles", days=53)

    with open_platform(settings) as platform:
        again = platform.seed_parts()
        platform.finish_seed()

        assert platform.history_span()[1] == parts.end + timedelta(days=3)
        assert (again.start, again.end) == (parts.start, parts.end)
        assert platform.seeded_until == parts.end


def keep_candles(directory: Path, *, days: int) -> None:
    """Write some days of one pair's candles as freqtrade keeps them."""
    ends_at = SIMULATED_START + timedelta(days=days)
    market = SimulatedMarket(7, starts_at=SIMULATED_START, ends_at=ends_at, pairs=1)
    (pair,) = market.pairs()
    candles = market.candles(pair, "5m", start=SIMULATED_START, end=ends_at)
    write_candles(directory, pair=pair, timeframe="5m", candles=candles)


@pytest.mark.slow
def test_unsynced_closes_given_a_seeded_home_then_none_waits() -> None:
    with open_platform(tiny_settings(seeded_home()), read_only=True) as platform:
        assert platform.steps.unsynced_closes() == 0


@pytest.mark.slow
def test_relearn_everything_given_names_of_published_files_then_writes_those(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    for name in ("adaptive_params.json", "meta_learner_recommendations.json"):
        (home / name).unlink()

    with open_platform(tiny_settings(home, parameters_file=Path("p.json"), recommendations_file=Path("r.json"))) as platform:
        platform.steps.relearn_everything()

    assert {path.name for path in home.glob("*.json")} == {"home.json", "market.json", "p.json", "r.json"}


@pytest.mark.slow
def test_seed_home_given_names_of_published_files_then_writes_those(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    for name in ("home.json", "adaptive_params.json", "meta_learner_recommendations.json"):
        (home / name).unlink()

    with open_platform(tiny_settings(home, parameters_file=Path("p.json"), recommendations_file=Path("r.json"))) as platform:
        seed_home(platform.seed_parts(), progress=lambda *_: None)

    assert {path.name for path in home.glob("*.json")} == {"market.json", "p.json", "r.json"}
