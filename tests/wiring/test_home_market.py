"""A home keeps to the market that it was made of."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot3.errors import SettingsError, StoreError
from bot3.settings import Settings, load_settings
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.wiring.home_market import SeedNote, note_seed, noted_seed, require_same_seed, settings_of_home
from tests.leverages import OTHER_BINS
from tests.markets import BTC, ETH, a_market


def settings_of(home: Path, **changes: str) -> Settings:
    return load_settings({f"BOT3_{name.upper()}": value for name, value in changes.items()}, env_file=home / "no.env", home=home)


SPAN = (datetime(2025, 1, 6, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC))


def a_note(settings: Settings, **changes: Any) -> SeedNote:
    return replace(SeedNote.of(settings, markets={BTC: a_market(BTC)}, span=SPAN), **changes)


def begin(settings: Settings) -> None:
    note_seed(settings, a_note(settings))


def test_home_given_no_candles_are_set_then_keeps_those_it_was_made_of(tmp_path: Path) -> None:
    begin(settings_of(tmp_path / "home", candles=str(tmp_path)))

    assert settings_of_home(settings_of(tmp_path / "home")).candle_directories == (tmp_path.resolve(),)


def test_home_given_other_candles_then_refuses_and_names_both(tmp_path: Path) -> None:
    begin(settings_of(tmp_path / "home", candles=str(tmp_path)))

    with pytest.raises(SettingsError, match=r"was made from .*not from BOT3_CANDLES=other"):
        settings_of_home(settings_of(tmp_path / "home", candles="other"))


def test_home_of_the_simulated_market_given_candles_then_refuses(tmp_path: Path) -> None:
    begin(settings_of(tmp_path / "home"))

    with pytest.raises(SettingsError, match="made from the simulated market"):
        settings_of_home(settings_of(tmp_path / "home", candles=str(tmp_path)))


def test_home_given_another_market_seed_then_refuses(tmp_path: Path) -> None:
    begin(settings_of(tmp_path / "home", market_seed="7"))

    with pytest.raises(SettingsError, match="seed 7, BOT3_MARKET_SEED is 8"):
        settings_of_home(settings_of(tmp_path / "home", market_seed="8"))


@pytest.mark.parametrize(("made_with", "opened_with"), [("1,2,4,8", None), (None, "1,2,4,8"), ("1,2,4,8", "1,2,4,8,10")])
def test_home_given_other_leverage_bins_then_refuses_and_names_both(tmp_path: Path, made_with: str | None, opened_with: str | None) -> None:
    made, opened = ({} if edges is None else {"leverage_bins": edges} for edges in (made_with, opened_with))
    begin(settings_of(tmp_path / "home", **made))

    its, ours = made_with or "1,2,3.5,5,7.5,10", opened_with or "1,2,3.5,5,7.5,10"
    with pytest.raises(SettingsError, match=re.escape(f"the leverage bins {its}, BOT3_LEVERAGE_BINS is {ours}: ")) as caught:
        settings_of_home(settings_of(tmp_path / "home", **opened))

    assert f"set BOT3_LEVERAGE_BINS={its}, or set BOT3_HOME" in str(caught.value)


def test_home_given_its_own_leverage_bins_then_opens(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home", leverage_bins="1,2,4,8")
    begin(settings)

    assert settings_of_home(settings).bins == OTHER_BINS


def test_home_of_a_release_without_a_note_of_its_bins_then_has_the_default_ones(tmp_path: Path) -> None:
    (tmp_path / "market.json").write_text('{"candles": [], "market_seed": 7}')

    assert settings_of_home(settings_of(tmp_path)).bins == DEFAULT_BINS
    with pytest.raises(SettingsError, match=r"set BOT3_LEVERAGE_BINS=1,2,3\.5,5,7\.5,10"):
        settings_of_home(settings_of(tmp_path, leverage_bins="1,2,4,8"))


def test_noted_seed_is_what_was_noted(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home", learn_from="backtest")
    begin(settings)

    assert noted_seed(settings.home) == a_note(settings)


@pytest.mark.parametrize(
    ("name", "value", "was", "is_now"),
    [
        ("stop_loss", "-0.05", "-0.03", "-0.05"),
        ("taker_fee", "0.001", "0.0005", "0.001"),
        ("stop_streak", "3", "4", "3"),
        ("min_trades_per_bin", "9", "5", "9"),
        ("feeder_train_days", "30", "2500", "30"),
        ("seed_days", "42", "84", "42"),
        ("replay_days", "3", "7.0", "3.0"),
        ("learn_from", "backtest", "['backtest', 'paper']", "['backtest']"),
    ],
)
def test_stopped_seed_given_another_setting_then_refuses_and_names_it(tmp_path: Path, name: str, value: str, was: str, is_now: str) -> None:
    home = tmp_path / "home"
    begin(settings_of(home))

    with pytest.raises(SettingsError, match=re.escape(f"BOT3_{name.upper()} was {was}, is {is_now}; undo these changes")):
        require_same_seed(home, a_note(settings_of(home, **{name: value})))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"rules": "other"}, "the platform's code has changed"), ({"markets": {BTC: "other"}}, f"{BTC} or its filters have changed")],
    ids=str,
)
def test_stopped_seed_given_other_code_or_filters_then_refuses_and_names_them(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    settings = settings_of(tmp_path / "home")
    begin(settings)

    with pytest.raises(SettingsError, match=named):
        require_same_seed(settings.home, a_note(settings, **change))


def test_stopped_seed_given_another_pair_then_refuses_and_names_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    begin(settings)

    with pytest.raises(SettingsError, match=f"cannot continue as it began: {ETH} or its filters"):
        require_same_seed(settings.home, SeedNote.of(settings, markets={pair: a_market(pair) for pair in (BTC, ETH)}, span=SPAN))


def test_stopped_seed_given_a_setting_that_shapes_no_seed_then_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    begin(settings_of(home))
    others = {"clock_speed": "5", "dagster_port": "3001", "recommendations_life_s": "3600", "bot1_db_host": "db", "influx_org": "o"}

    require_same_seed(home, a_note(settings_of(home, **others)))


def test_stopped_seed_given_no_note_of_its_settings_then_refuses(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    settings.home.mkdir()
    (settings.home / "market.json").write_text('{"candles": [], "market_seed": 7}')

    with pytest.raises(SettingsError, match="it has no record of its settings"):
        require_same_seed(settings.home, a_note(settings))


def test_note_given_a_password_then_does_not_keep_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home", bot1_db_password="canary-9", influx_token="canary-9")
    begin(settings)

    assert "canary" not in (settings.home / "market.json").read_text()


def test_home_given_a_damaged_note_then_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "market.json").write_text("{")

    with pytest.raises(StoreError, match=r"market\.json cannot be read.*bot3 init"):
        settings_of_home(settings_of(tmp_path))
