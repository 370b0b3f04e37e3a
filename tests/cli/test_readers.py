"""Commands that only look: a table for people, one JSON object for programs, and nothing changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot3.ports.control import Heartbeat
from bot3.trading.signals import FEEDER_IDS
from bot3.wiring import open_platform
from tests.cli.commands import bot3
from tests.dashboard.homes import PAIRS, make_home, publish_censored
from tests.seeded import tiny_settings

pytestmark = pytest.mark.slow  # processes on a seeded home

READERS = {
    "status": {"home", "trading_mode", "market", "services", "bots", "fleet", "learning", "newest_data_age_s"},
    "doctor": {"is_healthy", "findings"},
    "params": {"version", "known_at", "expires_at", "rows", "evidence"},
    "feeders": {"scores"},
    "regime": {"regime", "recommendation", "is_expired"},
    "trades --history --bot BOT1": {"bot", "source", "trades"},
    "skipped": {"bot", "decisions"},
}


@pytest.mark.parametrize("command", READERS)
def test_reader_given_json_then_prints_one_object_and_says_nothing(seeded: Path, command: str) -> None:
    ended = bot3(*command.split(), "--json", home=seeded)

    assert (ended.code, ended.err) == (0, "")
    assert set(ended.json()) == READERS[command]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("status", ["simulated market", "paused", "bot3 up", "BOT3", "in force", "newest data (wall time): candle"]),
        ("doctor", ["ok", "every digest is correct", "trades"]),
        ("params", ["version", "in force", "1.0-2.0", "7.5-10.0", "90 % interval"]),
        ("feeders", ["F01", "F10", "n_eff", "tier", "last 14 d"]),
        ("regime", ["known at", "top feeders", "leverage"]),
        ("trades --history", ["BOT3, history store", "USDT:USDT"]),
        ("skipped", ["BOT3, decisions", "outcome"]),
    ],
)
def test_reader_shows_people_what_it_found(seeded: Path, command: str, words: list[str]) -> None:
    ended = bot3(*command.split(), home=seeded, BOT3_LOOKBACK_DAYS="14")

    assert ended.code == 0
    assert [word for word in words if word not in ended.said] == []


def test_params_tells_the_rows_of_the_record(seeded: Path) -> None:
    with open_platform(tiny_settings(seeded), read_only=True) as platform:
        parameters = platform.record.parameters.as_of(platform.clock.now())

    told = bot3("params", "--json", home=seeded).json()

    assert told["version"] == parameters.version
    assert {f"{r['pair']}|{r['direction']}|{r['leverage_bin']}": r["stop_loss"] for r in told["rows"]} == {
        key: pytest.approx(row.stop_loss) for key, row in parameters.rows.items()
    }


def test_params_given_a_pair_then_shows_its_rows_alone(seeded: Path) -> None:
    told = bot3("params", "--pair", "ALFA/USDT:USDT", "--json", home=seeded).json()

    assert {row["pair"] for row in told["rows"]} == {"ALFA/USDT:USDT"}


def test_params_given_a_pair_and_direction_whose_closes_are_missing_then_says_that_it_may_not_trade_and_why(tmp_path: Path) -> None:
    make_home(tmp_path, trades_per_bot=4)
    publish_censored(tmp_path, PAIRS[0])

    said = bot3("params", home=tmp_path).said
    rows = bot3("params", "--json", home=tmp_path).json()["rows"]

    assert "More than 10.0 % of their closed trades (BOT3_MAX_CENSORED_SHARE) are missing" in said
    assert "14 of 80 (17.5 %): 10 left out, 4 late" in said
    assert {(row["pair"], row["direction"]) for row in rows if row["is_censored"]} == {(PAIRS[0], "long")}


def test_feeders_tells_the_score_of_every_feeder(seeded: Path) -> None:
    told = bot3("feeders", "--json", home=seeded).json()

    assert {score["feeder_id"] for score in told["scores"] if score["regime"] == "*"} == set(FEEDER_IDS)


def test_trades_given_a_limit_then_shows_so_many(seeded: Path) -> None:
    told = bot3("trades", "--history", "--bot", "BOT2", "--limit", "3", "--json", home=seeded).json()

    assert [(trade["bot"], trade["is_short"]) for trade in told["trades"]] == [("BOT2", True)] * 3


def test_trades_given_no_bot_of_that_name_then_names_those_there_are(seeded: Path) -> None:
    ended = bot3("trades", "--bot", "BOT9", home=seeded)

    assert ended.code == 2
    assert "valid names are BOT1, BOT2, BOT3" in ended.said


def test_readers_leave_the_home_as_it_was(home: Path) -> None:
    before = {path.relative_to(home): path.read_bytes() for path in sorted(home.rglob("*.sqlite"))}

    for command in ("status", "doctor", "params"):
        bot3(command, home=home)

    assert {path.relative_to(home): path.read_bytes() for path in sorted(home.rglob("*.sqlite"))} == before


def test_status_given_a_halt_that_only_the_heartbeat_tells_then_shows_it_with_its_reason(home: Path) -> None:
    with open_platform(tiny_settings(home)) as platform:
        wall = platform.clock.wall_now() + timedelta(minutes=2)  # a command takes a while to start
        detail = {"BOT1_state": "halted", "BOT1_reason": "HALT exists"}
        platform.control.beat(
            Heartbeat(process="execution", pid=1, started_at=wall, wall_at=wall, market_at=wall, state="running", detail=detail)
        )

    told = {bot["bot"]: bot for bot in bot3("status", "--json", home=home).json()["bots"]}

    assert (told["BOT1"]["state"], told["BOT1"]["reason"], told["BOT1"]["is_latched"]) == ("halted", "HALT exists", False)
    assert (told["BOT2"]["state"], told["BOT2"]["is_told_by_daemon"]) == ("active", False)
