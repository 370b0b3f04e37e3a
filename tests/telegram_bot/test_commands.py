"""Every command's answer: its figures equal the stores', and it says which trades, how many, from where and when."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreError
from bot3.settings import load_settings
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.wiring import open_platform
from telegram_bot.commands import COMMANDS, CommandHandler
from telegram_bot.home import BotHome, ClosedTrades
from tests.dashboard.homes import NOW, a_beat, make_home, settings_of
from tests.learned import spoil_learning
from tests.servers.bot_api import problem_of
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_open_row


def told(home: BotHome, name: str, *arguments: str) -> str:
    """Return an answer as it is read."""
    text = CommandHandler(home).answer(name, arguments, user=7)
    assert problem_of(text) == ""
    return html.unescape(re.sub("<[^>]+>", "", text))


@pytest.mark.parametrize("name", COMMANDS)
def test_answer_given_a_filled_home_then_says_from_where_and_when(home: BotHome, name: str) -> None:
    text = told(home, name)

    # The home's market time passes while other tests use it.
    assert re.search(r"As of 2025-02-05 1[345]:\d\d:\d\d UTC, market time; ", text)
    assert "simulated market: not real money" in text
    assert home.ports.record.store_id[:8] in text or "own database" in text
    assert "is unavailable" not in text


@pytest.mark.parametrize("name", ["learning", "leverage"])
def test_answer_given_publications_that_break_a_bound_then_tells_the_refusal(name: str, filled: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home)
    spoil_learning(home / "platform.sqlite")
    with open_platform(settings_of(home), read_only=True) as platform:
        text = told(BotHome(platform), name)

    assert "stop_loss must be a number from -1 to -0.0001, was 0.0" in text
    assert "is refused" in text
    assert "with the static stop and target" not in text


def test_stats_given_closes_then_its_figures_are_the_stores(home: BotHome) -> None:
    closes = home.ports.bot_store("BOT1").closed_trades(closed_since=None)
    won = sum((trade.close_profit or 0.0) > 0.0 for trade in closes)

    text = told(home, "stats")

    assert f"BOT1: n {len(closes)} on 26 days, {won} won, {len(closes) - won} not" in text
    assert f"realised {fmt.money(sum(trade.close_profit_abs or 0.0 for trade in closes), 'USDT')}" in text
    assert f"win rate {fmt.share(won / len(closes))} (" in text
    assert "mark 55 %" in text


def test_stats_given_exit_reasons_then_each_has_its_n(home: BotHome) -> None:
    found = re.findall(r"^(roi|stop_loss|giveback|time_exit) +(\d+) ", told(home, "stats"), flags=re.MULTILINE)

    assert {name for name, _ in found} == {"roi", "stop_loss", "giveback", "time_exit"}
    assert sum(int(number) for _, number in found) == 181


def test_profit_given_a_bot_of_both_ways_then_directions_add_up(home: BotHome) -> None:
    block = told(home, "profit").partition("BOT3 USDT")[2]
    rows = {line.split()[0]: line.split() for line in block.splitlines()[1:4]}

    assert float(rows["long"][3]) + float(rows["short"][3]) == pytest.approx(float(rows["in"][4]), abs=0.011)
    assert int(rows["long"][-1]) + int(rows["short"][-1]) == int(rows["in"][-1]) == 61


def test_profit_given_a_run_mode_then_it_is_not_pooled(home: BotHome) -> None:
    assert "backtest closes" in told(home, "profit", "3", "backtest")
    assert "the record (BOT1)" in told(home, "profit", "backtest")
    assert "n 60" in told(home, "stats", "backtest")


def test_daily_given_more_days_than_fit_then_says_so_and_shows_none(home: BotHome) -> None:
    said = told(home, "daily", "61")

    assert "at most 60 days" in said
    assert re.findall(r"^\d\d-\d\d", said, flags=re.MULTILINE) == []
    assert len(re.findall(r"^\d\d-\d\d", told(home, "daily", "60"), flags=re.MULTILINE)) == 60


def test_daily_given_days_then_one_row_each_and_no_close_is_no_zero(home: BotHome) -> None:
    rows = re.findall(r"^(\d\d-\d\d) +(\S+)", told(home, "daily", "30"), flags=re.MULTILINE)

    assert len(rows) == 30
    assert rows[0][0] == f"{NOW:%m-%d}"
    assert {value for _, value in rows[27:]} == {fmt.DASH}


def test_leverage_given_bins_then_losses_are_negative_and_n_stands_beside(home: BotHome) -> None:
    text = told(home, "leverage")
    stops = re.findall(r"^\S+ +(\S+) % +(\S+) % \d", text, flags=re.MULTILINE)

    assert len(stops) == 5
    assert [pair for pair in stops if not (float(pair[0]) < 0.0 < float(pair[1]))] == []
    assert "before fees" in text


def test_learning_given_bins_then_progress_is_of_the_live_record(home: BotHome) -> None:
    text = told(home, "learning")

    assert f"revision {home.ports.record.revision()}" in text
    assert "backtest 180, paper 181" in text
    assert "in force, expires in" in text
    assert re.search(r"newest paper or live close \d+(\.\d)? (min|h) ago \(wall time\)", text)


def test_balance_given_a_daemon_that_tells_one_bot_then_the_others_are_unknown(filled: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(filled, tmp_path / "home"))
    with open_platform(settings_of(copied)) as platform:
        platform.control.beat(a_beat(platform.clock.wall_now()))
        text = told(BotHome(platform), "balance")

    assert "equity with open profit 10,012.50 USDT" in text
    assert text.count(f"equity with open profit {fmt.DASH}") == 2
    assert "BRAVO/USDT long 3.0x" in text


def test_pairs_given_closes_then_best_first(home: BotHome) -> None:
    sums = [float(value) for value in re.findall(r"/USDT .* (\S+)$", told(home, "pairs"), flags=re.MULTILINE)]

    assert sums == sorted(sums, reverse=True)
    assert len(sums) == 2


@pytest.fixture
def of_two_currencies(filled: Path, tmp_path: Path) -> Iterator[BotHome]:
    """Yield a home with a bot of the fleet that trades BTC and USDT, and another whose database is missing."""
    source = FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))
    source.add(
        a_row(1),
        a_row(2, pair="ETH/BTC:BTC", close_profit_abs=-0.0004, close_profit=-0.04, stake_amount=0.01),
        an_open_row(3, pair="SOL/BTC:BTC", stake_amount=0.02),
    )
    fleet = "".join(f'[[bots]]\nname = "{name}"\nurl = "{name.lower()}.sqlite"\nrun_mode = "live"\n' for name in ("GRID7", "LATE"))
    (tmp_path / "fleet.toml").write_text(fleet, encoding="utf-8")
    copied = Path(shutil.copytree(filled, tmp_path / "home"))
    settings = load_settings({"BOT3_FLEET_FILE": str(tmp_path / "fleet.toml")}, env_file=copied / "no.env", home=copied)
    with open_platform(settings) as platform:
        platform.steps.sync("GRID7")
        yield BotHome(platform)


def test_answers_given_two_currencies_then_none_is_added_to_the_other(of_two_currencies: BotHome) -> None:
    stats, profit, pairs, daily, leverage = (
        told(of_two_currencies, name, "live") for name in ("stats", "profit", "pairs", "daily", "leverage")
    )

    assert "realised -0.00040000 BTC on stakes of 0.01000000 BTC" in stats
    assert "realised +1.80 USDT on stakes of 40.00 USDT" in stats
    assert re.search(r"GRID7 BTC .*\nin all .*-0\.00040000 +1$", profit, flags=re.MULTILINE)
    assert re.search(r"GRID7 USDT .*\nin all .*\+1\.80 +1$", profit, flags=re.MULTILINE)
    assert re.search(r"^ETH/BTC +1 +0 % +-4\.00 % +0\.00 +-0\.00040000$", pairs, flags=re.MULTILINE)
    assert re.search(r"^BTC/USDT +1 +100 % +\+4\.50 % .* \+1\.80$", pairs, flags=re.MULTILINE)
    assert ("BTC realised on the day" in daily, "USDT realised on the day" in daily) == (True, True)
    assert ("Realised by GRID7" in leverage, leverage.count("PF")) == (True, 4)


def test_balance_given_a_fleet_then_lists_its_open_positions_and_says_what_is_unavailable(of_two_currencies: BotHome) -> None:
    text = told(of_two_currencies, "balance")

    assert "GRID7 (live): listed in the fleet file, read only" in text
    assert "1 open, 0.10000000 BTC at entry" in text
    assert "realised -0.00040000 BTC, +1.80 USDT (n 2, from the record)" in text
    assert "open positions unavailable: " in text


@pytest.mark.parametrize("word", ["yesterday", "0", "-3", "1e9", "9999"])
def test_answer_given_an_argument_it_does_not_know_then_says_what_it_knows(home: BotHome, word: str) -> None:
    assert "neither a run mode (backtest, paper, live) nor a number" in told(home, "profit", word)


def test_answer_given_an_unknown_command_then_points_to_help(home: BotHome) -> None:
    assert "/help" in told(home, "forceexit")


def test_help_given_any_then_lists_every_command_and_no_control(home: BotHome) -> None:
    text = told(home, "help")

    assert [name for name in COMMANDS if f"/{name}" not in text] == []
    assert re.search(r"/(pause|halt|stop|forceexit|resume)", text) is None


def test_answer_given_no_trade_yet_then_says_so_and_shows_no_zero(tmp_path: Path) -> None:
    with open_platform(make_home(tmp_path, trades_per_bot=0), read_only=True) as platform:
        home = BotHome(platform)

        assert "BOT1: no close yet" in told(home, "stats")
        assert "no close of this run mode yet" in told(home, "pairs", "live")
        assert "no close of this run mode yet" in told(home, "leverage", "live")


def test_answer_given_a_store_that_cannot_be_asked_then_says_so_without_its_password(home: BotHome) -> None:
    class Away(BotHome):
        def every_closes(self, mode: RunMode) -> list[ClosedTrades]:  # noqa: ARG002  # as it is asked
            raise StoreError("postgresql://bot3:hunter2@db/bot1 cannot be reached")

    text = told(Away(home.ports), "stats")

    assert "/stats is unavailable" in text
    assert "hunter2" not in text


def test_answer_given_a_bug_then_says_so_and_the_process_goes_on(home: BotHome) -> None:
    class Broken(BotHome):
        def every_closes(self, mode: RunMode) -> list[ClosedTrades]:  # noqa: ARG002  # as it is asked
            raise ZeroDivisionError

    assert "/stats failed" in told(Broken(home.ports), "stats")


def test_settings_of_the_home_are_the_defaults(filled: Path) -> None:
    assert settings_of(filled).telegram_chat_id == 0
