"""Pages of a home whose record also holds trades of bots that are not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.trading.trades import RunMode
from bot3.usecases.formatting import DASH
from bot3.wiring import open_platform
from tests.dashboard.homes import closes, make_home, settings_of
from tests.dashboard.test_pages import a_page, texts
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_open_row

ODD = ":red[X]/USDT:USDT"
MARKUP = "[/red] **bold** $x$ <b> :smile:"
IMAGE = "![x](//BOT.example/x.png)"
FLEET = """
[[bots]]
name = "GRID-7"
url = "grid7.sqlite"
run_mode = "live"

[[bots]]
name = "LATE"
url = "late.sqlite"
run_mode = "live"
"""


@pytest.fixture
def fleet_home(tmp_path: Path) -> Path:
    """Return a home with a fleet bot of three trades of which two were synced, one that is away, and one that was imported."""
    source = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    source.add(a_row(1), a_row(2, pair="ETH/BTC:BTC", close_profit_abs=-0.0004, stake_amount=0.01))
    (tmp_path / "fleet.toml").write_text(FLEET, encoding="utf-8")
    (tmp_path / "no.env").write_text(f"BOT3_FLEET_FILE={tmp_path / 'fleet.toml'}\n", encoding="utf-8")
    make_home(tmp_path, trades_per_bot=3)
    with open_platform(settings_of(tmp_path)) as platform:
        platform.steps.sync("GRID-7")
        platform.record.trades.upsert(closes("OLD", run_mode=RunMode.LIVE, account="foreign", count=4, seed=3))
    source.add(a_row(3), an_open_row(4, pair=ODD, enter_tag=MARKUP))
    return tmp_path


def test_system_given_a_fleet_then_its_databases_are_compared_and_an_import_says_that_it_cannot_be(fleet_home: Path) -> None:
    stores = a_page("system", fleet_home).dataframe[1].value.set_index("bot")

    assert stores.loc["GRID-7", "verdict"] == "1 missing in the record"
    assert (stores.loc["GRID-7", "closed in the store"], stores.loc["GRID-7", "in the record"]) == (3, 2)
    assert stores.loc["LATE", "verdict"].startswith("not read: ")
    assert "late.sqlite does not exist" in stores.loc["LATE", "verdict"]
    assert tuple(stores.loc["OLD", ["where", "verdict", "in the record"]]) == ("not in the fleet file", "no source is watched", 4)


def test_trades_given_a_fleet_then_its_bots_can_be_chosen(fleet_home: Path) -> None:
    page = a_page("trades", fleet_home)
    page.selectbox(key="mode").set_value("live").run()

    page.selectbox(key="bot").set_value("GRID-7").run()

    assert set(page.dataframe[0].value["bot"]) == {"GRID-7"}
    assert page.metric[0].value == "2"


def test_trades_given_an_address_of_a_fleet_trade_then_tells_it_and_says_what_is_not_kept(fleet_home: Path) -> None:
    told = texts(a_page("trades", fleet_home, mode="live", trade="GRID-7-live-2"))

    assert "Long ETH/BTC:BTC at 5.0x" in told
    assert "\\-0.00040000 BTC after fees" in told
    assert "GRID-7's own database is only read for its trades" in told


def test_now_given_a_fleet_then_its_bots_are_listed_with_their_open_positions_and_what_is_unavailable(fleet_home: Path) -> None:
    page = a_page("now", fleet_home)
    bots = page.table[0].value

    assert list(bots.columns) == ["BOT1", "BOT2", "BOT3", r"GRID-7 \(live\)", r"LATE \(live\)", "Mark"]
    grid, late = bots[r"GRID-7 \(live\)"], bots[r"LATE \(live\)"]
    assert grid["Open positions"] == "1, 200.00 USDT at entry"
    assert grid["Realised, all"] == "-0.00040000 BTC, +1.80 USDT"
    assert grid["Store"].endswith(", 1 closes not in the record yet")
    assert late["Open positions"] == f"{DASH} unavailable"
    positions = page.dataframe[0].value.set_index("bot")
    assert tuple(positions.loc["GRID-7", ["mode", "pair", "feeder or tag"]]) == ("live", ODD, MARKUP)
    assert "Unavailable, not zero: LATE" in texts(page)
    assert "LATE" in next(str(warning.value) for warning in page.warning if "late.sqlite does not exist" in str(warning.value))


def test_now_given_a_fleet_then_every_total_names_mode_currency_and_bots(fleet_home: Path) -> None:
    page = a_page("now", fleet_home)
    totals = {metric.label.replace("\\", ""): metric.value for metric in page.metric}
    captions = [str(caption.value).replace("\\", "") for caption in page.caption]

    assert {label.rpartition(", ")[2] for label in totals} == {"paper", "live"}
    assert [metric.value for metric in page.metric if "first close, live" in metric.label] == ["-0.00040000 BTC", "+1.80 USDT"]
    assert any("BOT1, BOT2, BOT3 from their own databases" in caption for caption in captions)
    assert any("GRID-7, LATE of the fleet file from the record; without open trades of LATE" in caption for caption in captions)
    assert any("Not in these totals: OLD (live)" in caption for caption in captions)


def test_trades_given_two_currencies_then_each_has_its_own_sum_and_the_bots_are_named(fleet_home: Path) -> None:
    page = a_page("trades", fleet_home)

    page.selectbox(key="mode").set_value("live").run()

    sums = {metric.label: metric.value for metric in page.metric if metric.label.startswith("Realised")}
    assert sums["Realised, BTC"] == "-0.00040000"
    assert set(sums) == {"Realised, BTC", "Realised, USDT"}
    assert "GRID-7 (live), OLD (live)" in texts(page).replace("\\", "")
    rows = page.dataframe[0].value.set_index(["bot", "trade"])
    assert rows.loc[("GRID-7", 2), "profit, BTC"] == pytest.approx(-0.0004)
    assert pd.isna(rows.loc[("GRID-7", 2), "profit, USDT"])


def test_now_given_a_pair_whose_currency_is_markup_then_totals_and_bots_show_it_as_text(fleet_home: Path) -> None:
    (close,) = closes("GRID-7", run_mode=RunMode.LIVE, account="foreign", count=1, seed=4)
    with open_platform(settings_of(fleet_home)) as platform:
        platform.record.trades.upsert([replace(close, pair=f"ETH/{IMAGE}", trade_id=9)])

    page = a_page("now", fleet_home)

    cells = page.table[0].value[r"GRID-7 \(live\)"]
    shown = [*(str(metric.value) for metric in page.metric), *map(str, cells)]
    assert [text for text in shown if IMAGE in text] == []
    assert any("BOT.example/x.png" in text for text in shown)
