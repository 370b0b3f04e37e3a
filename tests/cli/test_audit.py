"""`bot3 audit` as a user types it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bot3.adapters.files.candle_format import write_candles
from bot3.cli.commands import command_app
from bot3.errors import Bot3Error, CandleError, DataError, SettingsError, StoreError
from bot3.ports.foreign_trades import FilledOrder
from bot3.trading.trades import Trade
from tests.servers.freqtrade_db import FreqtradeDb, a_row
from tests.servers.freqtrade_result import a_result, a_result_order, a_result_trade, write_zip
from tests.servers.postgres import PostgresServer
from tests.usecases.foreign import START, bought_twice, dips_then_runs, market, random_walk, trades_on

FILES = {"tradesv3.sqlite", "data"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a bot's database and its candles, as freqtrade leaves them."""
    home = tmp_path_factory.mktemp("freqtrade")
    candles = market(dips_then_runs)
    for pair, frame in candles.frames.items():
        write_candles(home / "data", pair=pair, timeframe="5m", candles=frame)
    bot = FreqtradeDb(f"sqlite:///{home / 'tradesv3.sqlite'}")
    bot.execute("PRAGMA journal_mode = WAL")
    bot.add(*map(row_of, trades_on(candles)), a_row(9_999, open_rate=0.0))
    return home


def row_of(trade: Trade) -> dict[str, Any]:
    names = ("pair", "is_short", "leverage", "open_rate", "close_rate", "close_profit", "close_profit_abs", "fee_open", "fee_close")
    dates = {name: getattr(trade, name).replace(tzinfo=None) for name in ("open_date", "close_date")}
    return a_row(trade.trade_id, **{name: getattr(trade, name) for name in names}, **dates, exit_reason="exit_signal")


def audit(*words: str | Path) -> Result:
    return CliRunner().invoke(command_app(["audit"]), ["audit", *map(str, words)])


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, on a wide terminal."""
    command = [sys.executable, "-m", "bot3.cli.main", "audit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "160"})


def error_of(result: Result) -> Bot3Error:
    assert isinstance(result.exception, Bot3Error)
    return result.exception


def test_audit_given_a_bots_files_then_tells_the_verdict(home: Path) -> None:
    ended = run("--db", home / "tradesv3.sqlite", "--candles", home / "data")

    said = " ".join(ended.stdout.split())
    assert ended.returncode == 0
    assert "Learned stops and targets earned more than the static ones" in said
    assert "impossible: open_rate must be above 0" in said
    assert "AAA/USDT:USDT|long" in said
    assert {found.name for found in home.iterdir()} == FILES


def test_audit_given_json_then_prints_one_object(home: Path) -> None:
    result = audit("--db", f"sqlite:///{home / 'tradesv3.sqlite'}", "--candles", home / "data", "--json", "--split", "0.5")

    report = json.loads(result.stdout)
    assert report["overall"]["verdict"] == "learned better"
    assert report["overall"]["gain"]["lower"] > 0.0
    assert report["counts"]["used"] == report["counts"]["fitted"] + report["counts"]["embargoed"] + report["counts"]["judged"]
    assert report["refused"] == [
        {"trade_id": 9999, "pair": "BTC/USDT:USDT", "reason": "open_rate must be above 0", "detail": "0", "is_open": False}
    ]
    assert {row["pair"] for row in report["parameters"]} >= {"AAA/USDT:USDT", "BBB/USDT:USDT"}


def test_audit_given_a_backtest_result_then_reports_its_trades_and_those_of_several_orders(home: Path, tmp_path: Path) -> None:
    candles = market(dips_then_runs)
    single = trades_on(candles)
    several = [bought_twice(trade, candles.frames[trade.pair]) for trade in single[::4]]
    result = write_zip(tmp_path, a_result(Dip=[*map(result_trade, single), *(result_trade(trade, orders) for trade, orders in several)]))
    page = tmp_path / "report.html"

    ended = audit("--backtest", result, "--candles", home / "data", "--json", "--html", page)

    report = json.loads(ended.stdout)
    assert (report["run_mode"], report["database"]) == ("backtest", f"{result} (Dip)")
    assert report["counts"]["closed"] == len(single) + len(several)
    assert (report["several_orders"]["n"], report["several_orders"]["unreplayed"]) == (len(several), [])
    assert report["several_orders"]["judged"]["gain"]["mean"] > 0.0
    text = page.read_text(encoding="utf-8")
    assert "replayed from their orders" in text
    assert "the stop is placed again from the average but only tightens" in text
    said = " ".join(run("--backtest", result, "--strategy", "Dip", "--candles", home / "data").stdout.split())
    assert f"{len(single) + len(several)} closed trades of a backtest" in said
    assert "several entries or exits" in said


def result_trade(trade: Trade, orders: tuple[FilledOrder, ...] = ()) -> dict[str, Any]:
    names = ("pair", "is_short", "leverage", "open_rate", "close_rate", "fee_open", "fee_close", "amount", "stake_amount", "exit_reason")
    exported = [
        a_result_order(is_entry=order.is_entry, at=order.filled_at or START, rate=order.rate or 0.0, amount=order.amount)
        for order in orders
    ]
    return a_result_trade(
        opened=trade.open_date,
        closed=trade.close_date,
        **{name: getattr(trade, name) for name in names},
        profit_ratio=trade.close_profit,
        profit_abs=trade.close_profit_abs,
        orders=exported,
    )


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--db", "a.sqlite", "--backtest", "b.zip"),
        ("--db", "a.sqlite", "--strategy", "S"),
        ("--backtest", "b.zip", "--source-timezone", "Europe/Berlin"),
    ],
)
def test_audit_given_options_that_exclude_each_other_then_refuses_before_it_reads(home: Path, words: tuple[str, ...]) -> None:
    assert error_of(audit(*words, "--candles", home / "data")).exit_code == 2


def test_audit_given_html_then_writes_one_page_that_needs_no_network(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    result = audit("--db", home / "tradesv3.sqlite", "--candles", home / "data", "--html", page)

    text = page.read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert "Learned stops and targets earned more" in text
    assert "Plotly.newPlot" in text
    assert "<script src=" not in text
    assert "<link" not in text
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]
    assert {found.name for found in home.iterdir()} == FILES


def test_audit_given_a_name_with_markup_then_the_page_shows_it_as_text(home: Path, tmp_path: Path) -> None:
    named = tmp_path / "<b>bot.sqlite"
    named.write_bytes((home / "tradesv3.sqlite").read_bytes())

    audit("--db", named, "--candles", home / "data", "--html", tmp_path / "report.html")

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bot.sqlite" in text
    assert "<b>bot" not in text


@pytest.mark.parametrize("address", ["{}", "sqlite:///{}", "sqlite:///{}?timeout=5"])
def test_audit_given_the_database_as_page_then_refuses_before_it_reads(home: Path, address: str) -> None:
    database = home / "tradesv3.sqlite"
    before = database.read_bytes()

    error = error_of(audit("--db", address.format(database), "--candles", home / "data", "--html", database))

    assert isinstance(error, SettingsError)
    assert "is the source of the trades itself" in str(error)
    assert database.read_bytes() == before


def test_audit_given_a_page_in_no_directory_then_refuses_before_it_reads(home: Path, tmp_path: Path) -> None:
    error = error_of(audit("--db", home / "tradesv3.sqlite", "--candles", home / "data", "--html", tmp_path / "gone" / "report.html"))

    assert (error.exit_code, "cannot be written" in str(error)) == (2, True)


def empty(path: Path) -> None:
    FreqtradeDb(f"sqlite:///{path}")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")


def damaged(path: Path) -> None:
    FreqtradeDb(f"sqlite:///{path}").add(*(a_row(number) for number in range(1, 400)))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))


def text(path: Path) -> None:
    path.write_text("pair,profit\nBTC/USDT,0.1\n" * 100)


def gone(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (empty, DataError, "contains no closed trade to learn from"),
        (foreign, StoreError, "is no freqtrade database"),
        (damaged, StoreError, "is no readable SQLite database"),
        (text, StoreError, "is no readable SQLite database"),
        (gone, StoreError, "does not exist"),
    ],
    ids=["empty", "foreign", "damaged", "text", "gone"],
)
def test_audit_given_no_database_of_a_bot_then_names_it_and_ends_with_3(
    home: Path, tmp_path: Path, make: Any, kind: type[Bot3Error], words: str
) -> None:
    make(tmp_path / "some.sqlite")

    error = error_of(audit("--db", tmp_path / "some.sqlite", "--candles", home / "data"))

    assert isinstance(error, kind)
    assert (error.exit_code, words in str(error), "some.sqlite" in str(error)) == (3, True, True)


def test_audit_given_a_server_that_is_not_there_then_ends_with_3_and_tells_no_password(home: Path, tmp_path: Path) -> None:
    for address in (f"postgresql://bot:geheim@/bot?host={tmp_path}", f"postgresql:///bot?host={tmp_path}&user=bot&password=geheim"):
        error = error_of(audit("--db", address, "--candles", home / "data"))

        assert (error.exit_code, "cannot be reached" in str(error), "geheim" in str(error)) == (3, True, False)


@pytest.mark.postgres
def test_audit_given_a_password_in_the_query_and_a_schema_then_hides_the_one_and_reads_the_other(
    home: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    FreqtradeDb(url).execute("CREATE SCHEMA bot1")
    trades = [row_of(trade) for trade in trades_on(market(dips_then_runs))]
    FreqtradeDb(f"{url}&options=-csearch_path%3Dbot1").add(*trades)
    page = tmp_path / "report.html"

    ended = audit("--db", f"{url}&password=geheim&options=-csearch_path%3Dbot1", "--candles", home / "data", "--html", page)
    as_json = audit("--db", f"{url}&password=geheim&currentSchema=bot1", "--candles", home / "data", "--json")

    assert json.loads(as_json.stdout)["counts"]["closed"] == len(trades)
    assert "geheim" not in ended.stdout + ended.stderr + as_json.stdout + page.read_text()
    assert "password=***" in page.read_text()


def test_audit_given_candles_of_other_pairs_then_names_what_is_needed(home: Path, tmp_path: Path) -> None:
    write_candles(tmp_path, pair="ZZZ/USDT:USDT", timeframe="5m", candles=random_walk("ZZZ/USDT:USDT", seed=1))

    error = error_of(audit("--db", home / "tradesv3.sqlite", "--candles", tmp_path))

    assert isinstance(error, CandleError)
    assert "required: AAA/USDT:USDT, BBB/USDT:USDT" in str(error)


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["--timeframe", "soon"], SettingsError), (["--timeframe", "1h"], CandleError), (["--source-timezone", "Mars"], SettingsError)],
)
def test_audit_given_options_that_do_not_fit_then_says_so(home: Path, words: list[str], kind: type[Bot3Error]) -> None:
    error = error_of(audit("--db", home / "tradesv3.sqlite", "--candles", home / "data", *words))

    assert isinstance(error, kind)


def test_audit_given_a_locked_database_then_says_so_on_standard_error(home: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.sqlite"
    locked.write_bytes((home / "tradesv3.sqlite").read_bytes())
    with closing(sqlite3.connect(locked, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("BEGIN EXCLUSIVE")

        ended = run("--db", locked, "--candles", home / "data", "--json")

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "locked.sqlite is locked by another process: wait and retry" in ended.stderr


@pytest.mark.postgres
def test_audit_given_a_postgres_in_local_time_then_tells_the_shift_and_obeys_the_zone(home: Path, postgres: PostgresServer) -> None:
    bot = FreqtradeDb(postgres.new_database())
    trades = [row_of(trade) for trade in trades_on(market(dips_then_runs))]
    local = {name: timedelta(hours=9) for name in ("open_date", "close_date")}
    bot.add(*(row | {name: row[name] + shift for name, shift in local.items()} for row in trades))

    as_utc, as_local = (
        json.loads(audit("--db", bot.url, "--candles", home / "data", "--json", "--source-timezone", zone).stdout)
        for zone in ("UTC", "Asia/Tokyo")
    )

    # The market of the test repeats every 12 hours: 9 back are 3 ahead.
    assert (as_utc["candle_fit"]["shift_hours"] % 12, as_local["candle_fit"]["shift_hours"]) == (3, 0)
    assert as_local["overall"]["verdict"] == "learned better"
    assert as_local["candle_fit"]["outside_share"] < 0.05
