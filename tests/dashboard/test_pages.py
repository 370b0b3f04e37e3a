"""Every page without a browser: an empty home, a filled one, a damaged one."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from bot3.ports.control import ClockAnchor, ClockSource
from bot3.settings import load_settings
from bot3.usecases.formatting import DASH
from bot3.usecases.terms import definition
from bot3.wiring import open_platform
from dashboard.views.system import settings_frame
from tests.dashboard.homes import NOW, PAIRS, a_beat, make_home, publish_censored, reject_an_entry, settings_of
from tests.learned import spoil_learning

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
VIEWS = ("now", "trades", "learned", "feeders", "regime", "system")
TIMEOUT_S = 60.0


SCRIPT = """
from pathlib import Path
from bot3.wiring import home_identity
from dashboard.app import open_home
from dashboard.page import banner
from dashboard.views import {name}
from tests.dashboard.homes import settings_of

settings = settings_of(Path({home!r}))
with banner("The page"):
    {name}.render(open_home(settings, home_identity(settings)).home)
"""


def a_page(name: str, home: Path, **query: str) -> AppTest:
    page = AppTest.from_string(SCRIPT.format(name=name, home=str(home)), default_timeout=TIMEOUT_S)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert [exception.value for exception in page.exception] == []
    return page


def beat_in(home: Path, **changes: str) -> None:
    with open_platform(settings_of(home)) as platform:
        platform.control.beat(a_beat(platform.clock.wall_now(), **changes))


def texts(page: AppTest) -> str:
    blocks = (*page.markdown, *page.caption, *page.info, *page.error, *page.warning, *page.success, *page.subheader)
    return "\n".join(str(block.value) for block in blocks)


@pytest.mark.parametrize("name", VIEWS)
def test_page_given_a_filled_home_then_shows_no_error(name: str, filled_home: Path) -> None:
    page = a_page(name, filled_home)

    assert page.title[0].value.lower() == name
    assert [error.value for error in page.error if "silent" not in error.value] == []


@pytest.mark.parametrize(
    ("name", "field"), [("now", "stop_loss"), ("learned", "stop_loss"), ("feeders", "tier"), ("regime", "regime must be one of")]
)
def test_page_given_publications_that_break_a_bound_then_shows_the_refusal_with_the_field(
    name: str, field: str, filled_home: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled_home, home)
    spoil_learning(home / "platform.sqlite")

    shown = texts(a_page(name, home))

    assert "is refused as invalid, and the last valid values stay in force" in shown
    assert field in shown.replace("\\", "")
    assert [claim for claim in ("learned yet", "scored yet", "known yet", "static set, on paper") if claim in shown] == []


@pytest.mark.parametrize("name", VIEWS)
def test_page_given_a_home_that_was_never_seeded_then_names_the_command_and_no_number(name: str, tmp_path: Path) -> None:
    page = a_page(name, tmp_path)

    assert "bot3 init" in texts(page)
    assert len(page.metric) == 0


@pytest.mark.parametrize("name", VIEWS)
def test_page_given_stores_without_a_row_then_says_what_is_missing(name: str, tmp_path: Path) -> None:
    with open_platform(settings_of(tmp_path)) as platform:
        wall = platform.clock.wall_now()
        platform.control.set_anchor(ClockAnchor(source=ClockSource.SIMULATED, wall_at=wall, market_at=NOW, speed=1.0, is_running=True))
        for bot in platform.bot_names:
            platform.bot_store(bot)
            platform.history_store(bot)
        assert platform.record.revision() == 0

    page = a_page(name, tmp_path)

    assert "bot3" in texts(page)
    assert not any(metric.value.startswith(("+0", "-0", "0.0")) for metric in page.metric)


@pytest.mark.parametrize("name", VIEWS)
def test_page_given_a_damaged_record_then_shows_a_banner_and_no_number(name: str, tmp_path: Path) -> None:
    make_home(tmp_path, trades_per_bot=3)
    for path in tmp_path.glob("platform.sqlite*"):
        path.unlink()
    (tmp_path / "platform.sqlite").write_bytes(b"not a database" * 100)

    page = a_page(name, tmp_path)

    assert "cannot be read" in texts(page)
    assert "bot3 doctor" in texts(page)


def test_app_given_a_filled_home_then_says_what_market_it_is(filled_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT3_HOME", str(filled_home))
    beat_in(filled_home)

    page = AppTest.from_file(str(APP), default_timeout=TIMEOUT_S).run()

    assert [exception.value for exception in page.exception] == []
    bar = str(page.markdown[0].value)
    assert "PAPER" in bar
    assert "Simulated market: not real money, not a real market." in bar
    assert "all bots active" in bar
    assert "UTC" in bar


def test_app_given_a_daemon_that_beats_on_an_old_candle_then_the_bar_names_the_age_of_each_kind_of_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path, trades_per_bot=3)
    monkeypatch.setenv("BOT3_HOME", str(tmp_path))
    beat_in(tmp_path, last_candle=(NOW - timedelta(hours=5)).isoformat())

    bar = str(AppTest.from_file(str(APP), default_timeout=TIMEOUT_S).run().markdown[0].value)

    assert "data age" not in bar
    assert "red-badge[newest candle 5.0 h ago]" in bar
    assert re.search(r"newest close \d\.\d h ago\]", bar)
    assert "newest publication" in bar
    assert re.search(r"blue-badge\[daemon beat \d+ s ago\]", bar)


def test_app_given_a_halt_that_only_the_heartbeat_tells_then_bar_and_now_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path, trades_per_bot=3)
    monkeypatch.setenv("BOT3_HOME", str(tmp_path))
    beat_in(tmp_path, BOT1_state="halted", BOT1_reason="HALT exists in the home: delete it to resume")

    page = AppTest.from_file(str(APP), default_timeout=TIMEOUT_S).run()

    assert "red-badge[BOT1 halted]" in str(page.markdown[0].value)
    assert page.table[0].value.loc["State", "BOT1"] == "HALTED: HALT exists in the home: delete it to resume"
    assert "All well" not in texts(page)
    assert "BOT1 is halted: HALT exists" in texts(page)


def test_app_given_no_home_then_says_one_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT3_HOME", str(tmp_path / "nowhere"))

    page = AppTest.from_file(str(APP), default_timeout=TIMEOUT_S).run()

    assert [exception.value for exception in page.exception] == []
    assert len(page.info) == 1
    assert "bot3 init" in page.info[0].value
    assert (len(page.error), len(page.metric)) == (0, 0)
    assert not (tmp_path / "nowhere").exists()


def test_app_given_an_unknown_setting_then_refuses_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT3_HOME", str(tmp_path))
    monkeypatch.setenv("BOT3_HOEM", "typo")

    page = AppTest.from_file(str(APP), default_timeout=TIMEOUT_S).run()

    assert [exception.value for exception in page.exception] == []
    assert "BOT3_HOEM" in page.error[0].value


def test_now_given_a_filled_home_then_stands_figures_beside_n_interval_and_mark(filled_home: Path) -> None:
    table = a_page("now", filled_home).table[0].value

    assert list(table.columns) == ["BOT1", "BOT2", "BOT3", "Mark"]
    assert "n 60" in table.loc["Win rate", "BOT1"]
    assert " to " in table.loc["Win rate", "BOT1"]
    assert (table.loc["Win rate", "Mark"], table.loc["Profit factor (money)", "Mark"]) == ("55 %", "1.5")
    assert "own database" in table.loc["Store", "BOT3"]
    assert table.loc["Open positions", "BOT3"] == "1, 300.00 USDT at entry"


@pytest.mark.parametrize("name", ["now", "trades"])
def test_page_given_an_entry_that_the_exchange_rejected_then_says_why_and_calls_it_no_entry(name: str, tmp_path: Path) -> None:
    make_home(tmp_path, trades_per_bot=3)
    with open_platform(settings_of(tmp_path)) as platform:
        reject_an_entry(platform)

    page = a_page(name, tmp_path)

    row = page.dataframe[-1].value.iloc[0]
    assert (row["bot"], row["outcome"], row["reason"]) == ("BOT3", "not traded", "order_rejected")
    assert row["what was said"] == "margin is too small"
    reasons = [frame.value for frame in page.dataframe if list(frame.value.columns) == ["reason", "BOT3"]]
    assert [list(frame["reason"]) for frame in reasons] == ([["order_rejected"]] if name == "now" else [])


def test_trades_given_no_choice_then_shows_paper_alone(filled_home: Path) -> None:
    page = a_page("trades", filled_home)

    rows = page.dataframe[0].value
    assert set(rows["mode"]) == {"paper"}
    assert len(rows) == 100
    assert page.metric[0].value == "181"


def test_trades_given_pooling_was_asked_for_then_pools(filled_home: Path) -> None:
    page = a_page("trades", filled_home)

    page.selectbox(key="mode").set_value("all run modes, pooled").run()

    assert page.metric[0].value == "361"


def test_trades_given_filters_that_nothing_matches_then_says_so(filled_home: Path) -> None:
    page = a_page("trades", filled_home)

    page.selectbox(key="mode").set_value("live").run()

    assert "No close matches among live" in page.info[0].value
    assert len(page.metric) == 0


def test_trades_given_an_address_then_tells_the_story_with_orders_and_parameters(filled_home: Path) -> None:
    page = a_page("trades", filled_home, trade="BOT3-paper-1")

    told = texts(page)
    assert "Long ALFA/USDT:USDT at 3.0x" in told
    assert "Parameters used" in told
    assert "version v2" in told
    assert list(page.dataframe[1].value["leg"]) == ["entry", "exit"]


def test_trades_given_a_history_trade_then_says_that_no_orders_are_kept(filled_home: Path) -> None:
    assert "No orders are kept" in texts(a_page("trades", filled_home, trade="BOT1-backtest-100"))


@pytest.mark.parametrize("name", ["BOT9-paper-1", "nonsense", "BOT1-paper-x", "----"])
def test_trades_given_an_address_of_no_trade_then_says_so(name: str, filled_home: Path) -> None:
    assert "holds no closed trade" in texts(a_page("trades", filled_home, trade=name))


def test_learned_given_a_filled_home_then_every_row_has_n_and_interval(filled_home: Path) -> None:
    page = a_page("learned", filled_home)

    for shown in page.dataframe[:3]:
        rows = shown.value
        assert rows["90 % interval"].str.contains(" to ").all()
        assert rows["n"].notna().all()
        assert rows["effective n"].notna().all()
        without = rows[rows["n"] == 0]
        assert without["win rate"].isna().all()
        assert without["rests on"].str.startswith("No trade is replayed yet: all from").all()


def test_learned_given_a_pair_and_direction_whose_closes_are_missing_then_says_that_it_may_not_trade_and_why(tmp_path: Path) -> None:
    make_home(tmp_path, trades_per_bot=4)
    before = a_page("learned", tmp_path)
    publish_censored(tmp_path, PAIRS[0])

    page = a_page("learned", tmp_path)

    assert "May not trade" not in texts(before)
    assert "May not trade" in texts(page)
    assert "More than 10.0 % of their closed trades (BOT3_MAX_CENSORED_SHARE) are missing" in texts(page)
    shown = page.dataframe[0].value
    assert shown["pair and direction"].tolist() == [f"{PAIRS[0]}, long, all leverage"]
    assert shown["closes missing"].tolist() == ["14 of 80 (17.5 %): 10 left out, 4 late"]


def test_learned_given_a_pair_then_shows_its_cells(filled_home: Path) -> None:
    page = a_page("learned", filled_home)

    page.selectbox(key="pair").set_value("ALFA/USDT:USDT").run()

    assert page.dataframe[1].value["group"].str.startswith("ALFA").all()


def test_feeders_given_too_few_in_the_window_then_shows_no_figure_of_it(filled_home: Path) -> None:
    rows = a_page("feeders", filled_home).dataframe[0].value

    assert list(rows["rank"]) == list(range(1, 11))
    assert rows.loc[rows["n in window"] < 10, "win rate in window"].isna().all()
    assert rows.loc[rows["n in window"] >= 10, "win rate in window"].notna().all()


def test_system_given_a_filled_home_then_reconciles_every_store(filled_home: Path) -> None:
    page = a_page("system", filled_home)

    stores = page.dataframe[1].value
    assert list(stores["verdict"]) == ["reconciled"] * 6
    assert set(stores["run mode"]) == {"paper", "backtest"}


def test_settings_frame_given_secrets_then_never_shows_them(tmp_path: Path) -> None:
    settings = load_settings({"BOT3_BOT1_DB_PASSWORD": "hunter2", "BOT3_INFLUX_TOKEN": "t0ken"}, env_file=tmp_path / "no.env")

    frame = settings_frame(settings)

    assert not frame["value"].str.contains("hunter2|t0ken").any()
    told = dict(zip(frame["setting"], frame["value"], strict=True))
    assert (told["BOT3_BOT1_DB_PASSWORD"], told["BOT3_BOT2_DB_PASSWORD"], told["BOT3_BOT1_DB_HOST"]) == ("set", "not set", DASH)
    assert isinstance(settings.bot1_db_password, SecretStr)


@pytest.mark.parametrize(("name", "heading"), [("learned", "effective n"), ("feeders", "tier"), ("learned", "rests on")])
def test_table_given_a_column_with_a_term_then_its_tooltip_is_the_definition(name: str, heading: str, filled_home: Path) -> None:
    page = a_page(name, filled_home)

    tables = [json.loads(frame.proto.columns) for frame in page.dataframe]
    tooltips = [columns[heading].get("help") for columns in tables if heading in columns]
    assert set(tooltips) == {definition(heading)}
