"""A home keeps to the market that it was made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.errors import SettingsError, StoreError
from bot3.settings import Settings, load_settings
from bot3.wiring.home_market import note_market, settings_of_home


def settings_of(home: Path, **changes: str) -> Settings:
    return load_settings({f"BOT3_{name.upper()}": value for name, value in changes.items()}, env_file=home / "no.env", home=home)


def test_home_given_no_candles_are_set_then_keeps_those_it_was_made_of(tmp_path: Path) -> None:
    note_market(settings_of(tmp_path / "home", candles=str(tmp_path)))

    assert settings_of_home(settings_of(tmp_path / "home")).candle_directories == (tmp_path.resolve(),)


def test_home_given_other_candles_then_refuses_and_names_both(tmp_path: Path) -> None:
    note_market(settings_of(tmp_path / "home", candles=str(tmp_path)))

    with pytest.raises(SettingsError, match=r"was made of .*not of BOT3_CANDLES=other"):
        settings_of_home(settings_of(tmp_path / "home", candles="other"))


def test_home_of_the_simulated_market_given_candles_then_refuses(tmp_path: Path) -> None:
    note_market(settings_of(tmp_path / "home"))

    with pytest.raises(SettingsError, match="made of the simulated market"):
        settings_of_home(settings_of(tmp_path / "home", candles=str(tmp_path)))


def test_home_given_another_market_seed_then_refuses(tmp_path: Path) -> None:
    note_market(settings_of(tmp_path / "home", market_seed="7"))

    with pytest.raises(SettingsError, match="seed 7, BOT3_MARKET_SEED is 8"):
        settings_of_home(settings_of(tmp_path / "home", market_seed="8"))


def test_home_given_a_damaged_note_then_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "market.json").write_text("{")

    with pytest.raises(StoreError, match=r"market\.json cannot be read.*bot3 init"):
        settings_of_home(settings_of(tmp_path))
