from __future__ import annotations

import math
from pathlib import Path

import pytest

from bot3.errors import SettingsError
from bot3.settings import Settings, load_settings
from bot3.trading.exit_rules import ExitRules
from bot3.trading.leverage_bins import DEFAULT_BINS
from tests.leverages import OTHER_BINS


def loaded(tmp_path: Path, **environment: str) -> Settings:
    return load_settings(environment, env_file=tmp_path / ".env")


def test_settings_given_nothing_then_paper_and_the_static_safe_set(tmp_path: Path) -> None:
    settings = loaded(tmp_path)

    assert (settings.trading_mode, settings.stop_loss, settings.take_profit) == ("paper", -0.03, 0.03)
    assert (settings.win_rate_mark, settings.min_trades_per_bin, settings.meta_learner_interval_s) == (0.55, 5, 300)


@pytest.mark.parametrize(("text", "activation"), [("", math.inf), ("0.5", 0.5)])
def test_exit_rules_given_a_break_even_setting_then_contain_it(tmp_path: Path, text: str, activation: float) -> None:
    rules = loaded(tmp_path, BOT3_BREAK_EVEN_ACTIVATION_SIGMA=text, BOT3_GIVEBACK_SHARE="0.4").exit_rules

    assert rules == ExitRules(giveback_activation_sigma=1.0, giveback_share=0.4, break_even_activation_sigma=activation)


def test_exit_rules_given_no_setting_then_break_even_is_off(tmp_path: Path) -> None:
    assert loaded(tmp_path).exit_rules.break_even_activation_sigma == math.inf


def test_settings_given_a_break_even_activation_of_0_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BOT3_BREAK_EVEN_ACTIVATION_SIGMA"):
        loaded(tmp_path, BOT3_BREAK_EVEN_ACTIVATION_SIGMA="0")


def test_settings_given_an_unknown_name_then_names_it_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"BOT3_STOPLOSS is not a setting.*BOT3_STOP_LOSS"):
        loaded(tmp_path, BOT3_STOPLOSS="-0.05")


def test_settings_given_an_unknown_name_in_the_env_file_then_refuses(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOT3_COLOUR=red\n")

    with pytest.raises(SettingsError, match="BOT3_COLOUR"):
        loaded(tmp_path)


def test_settings_given_env_file_and_environment_then_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOT3_STOP_LOSS=-0.05\nBOT3_TAKE_PROFIT=0.04\n")

    settings = loaded(tmp_path, BOT3_STOP_LOSS="-0.06")

    assert (settings.stop_loss, settings.take_profit) == (-0.06, 0.04)


def test_settings_given_a_stop_above_zero_then_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"BOT3_STOP_LOSS: .*less than 0"):
        loaded(tmp_path, BOT3_STOP_LOSS="0.03")


def test_settings_given_live_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="paper only"):
        loaded(tmp_path, BOT3_TRADING_MODE="live")


def test_settings_given_a_secret_file_then_reads_it_and_hides_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("canary-7\n")

    settings = loaded(tmp_path, BOT3_BOT1_DB_PASSWORD_FILE=str(tmp_path / "password"))

    assert settings.bot1_db_password.get_secret_value() == "canary-7"
    assert "canary-7" not in repr(settings)
    assert settings.secrets() == ("canary-7",)


def test_settings_given_a_missing_secret_file_then_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absent, which cannot be read"):
        loaded(tmp_path, BOT3_INFLUX_TOKEN_FILE=str(tmp_path / "absent"))


def test_settings_given_a_secret_twice_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        loaded(tmp_path, BOT3_INFLUX_TOKEN="a", BOT3_INFLUX_TOKEN_FILE="b")


def test_settings_given_a_bad_port_then_does_not_show_other_values(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, BOT3_BOT1_DB_PORT="none", BOT3_BOT1_DB_PASSWORD="canary-8")

    assert "BOT3_BOT1_DB_PORT" in str(caught.value)
    assert "canary-8" not in str(caught.value)


@pytest.mark.parametrize("name", ["BOT3_DAILY_LOSS_REDUCING", "BOT3_DAILY_LOSS_HALTED", "BOT3_MAX_DRAWDOWN"])
def test_settings_given_a_limit_of_loss_in_percent_then_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: Input should be greater than -1"):
        loaded(tmp_path, **{name: "-3"})


@pytest.mark.parametrize(("name", "text"), [("BOT3_MAX_DRAWDOWN", "-inf"), ("BOT3_MAX_STAKE_RATIO", "inf"), ("BOT3_WALLET_ABS", "inf")])
def test_settings_given_an_infinite_number_then_refuses(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: Input should be"):
        loaded(tmp_path, **{name: text})


def test_settings_given_a_name_in_two_cases_in_the_env_file_then_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("bot3_home=first\nBOT3_HOME=second\n")

    assert loaded(tmp_path, bot3_home="environment").home == Path("environment")


def test_settings_given_an_env_file_that_is_a_directory_then_refuses(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    with pytest.raises(SettingsError, match=r"\.env cannot be read: Is a directory"):
        loaded(tmp_path)


def test_settings_given_files_that_are_no_text_then_refuses(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_bytes(b"\xffsecret")

    with pytest.raises(SettingsError, match=r"BOT3_INFLUX_TOKEN_FILE names .*: it is not UTF-8 text"):
        loaded(tmp_path, BOT3_INFLUX_TOKEN_FILE=str(secret))
    (tmp_path / ".env").write_bytes(b"BOT3_HOME=\xff")
    with pytest.raises(SettingsError, match=r"\.env cannot be read: it is not UTF-8 text"):
        loaded(tmp_path)


@pytest.mark.parametrize("seconds", ["2400", "90", "30", "420", "7200"])
def test_settings_given_a_beat_that_no_hour_is_divided_by_then_refuses(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(SettingsError, match="BOT3_META_LEARNER_INTERVAL_S: "):
        loaded(tmp_path, BOT3_META_LEARNER_INTERVAL_S=seconds, BOT3_RECOMMENDATIONS_LIFE_S="86400")


@pytest.mark.parametrize("name", ["BOT3_RECOMMENDATIONS_LIFE_S", "BOT3_PARAMETERS_LIFE_S"])
def test_settings_given_a_life_that_ends_at_the_beat_then_refuses(tmp_path: Path, name: str) -> None:
    lives = {"BOT3_RECOMMENDATIONS_LIFE_S": "7200", "BOT3_PARAMETERS_LIFE_S": "7200"}

    with pytest.raises(SettingsError, match=rf"{name} must be above BOT3_META_LEARNER_INTERVAL_S \(3600\), was 3600"):
        loaded(tmp_path, BOT3_META_LEARNER_INTERVAL_S="3600", **(lives | {name: "3600"}))


def test_settings_given_leverage_bins_then_are_their_edges(tmp_path: Path) -> None:
    settings = loaded(tmp_path, BOT3_LEVERAGE_BINS="1, 2,4,8")

    assert settings.bins == OTHER_BINS
    assert settings.bins.names == ("1.0-2.0", "2.0-4.0", "4.0-8.0")
    assert loaded(tmp_path).bins == DEFAULT_BINS


@pytest.mark.parametrize("edges", ["1,nan", "1,inf"])
def test_settings_given_a_leverage_bin_that_is_not_finite_then_names_the_variable(tmp_path: Path, edges: str) -> None:
    with pytest.raises(SettingsError, match="BOT3_LEVERAGE_BINS: Input should be a finite number"):
        loaded(tmp_path, BOT3_LEVERAGE_BINS=edges)


@pytest.mark.parametrize("edges", ["", "4", "2,1", "1,1,2", "0.5,2", "1,200", "1,2.005"])
def test_settings_given_leverage_bins_that_are_no_ranges_then_refuses_and_shows_an_example(tmp_path: Path, edges: str) -> None:
    with pytest.raises(SettingsError, match=r"BOT3_LEVERAGE_BINS: the edges of leverage bins must be .* such as 1,2,4,8"):
        loaded(tmp_path, BOT3_LEVERAGE_BINS=edges)


def test_settings_given_a_leverage_bin_that_is_no_number_then_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"BOT3_LEVERAGE_BINS: .*valid number"):
        loaded(tmp_path, BOT3_LEVERAGE_BINS="1,2,x")


@pytest.mark.parametrize(("edges", "cap"), [("1,2,4,8", "8.5"), ("1,2,3.5,5,7.5,10", "10.01"), ("5,10", "4"), ("20,50", None)])
def test_settings_given_a_leverage_cap_outside_the_bins_then_refuses(tmp_path: Path, edges: str, cap: str | None) -> None:
    environment = {"BOT3_LEVERAGE_BINS": edges} | ({} if cap is None else {"BOT3_LEVERAGE_CAP": cap})

    with pytest.raises(SettingsError, match="BOT3_LEVERAGE_CAP must be inside BOT3_LEVERAGE_BINS"):
        loaded(tmp_path, **environment)


def test_settings_document_given_every_field_then_lists_it() -> None:
    text = (Path(__file__).parents[1] / "docs/settings.md").read_text(encoding="utf-8")

    assert [name for name in Settings.model_fields if f"`BOT3_{name.upper()}`" not in text] == []
