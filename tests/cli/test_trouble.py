"""Bad input and broken homes: a clear text with the remedy, the documented exit code, nothing lost."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from bot3.wiring import open_platform
from tests.cli.commands import bot3
from tests.learned import spoil_learning
from tests.seeded import tiny_settings

pytestmark = pytest.mark.slow  # processes on a seeded home

LOOKING = ("status", "params", "feeders", "regime", "trades", "skipped")


@pytest.mark.parametrize("command", [*LOOKING, "learn run", "clock start", "pause BOT1"])
def test_command_given_no_seeded_home_then_names_what_seeds_one(nowhere: Path, command: str) -> None:
    ended = bot3(*command.split(), home=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "run `bot3 init`" in ended.said
    assert not nowhere.exists()


def test_doctor_given_no_seeded_home_then_is_unhealthy_and_names_what_seeds_one(nowhere: Path) -> None:
    ended = bot3("doctor", "--json", home=nowhere)

    findings = {finding["subject"]: finding for finding in ended.json()["findings"]}
    assert ended.code == 4
    assert not findings["seed"]["is_good"]
    assert "bot3 init" in findings["seed"]["remedy"]


def test_command_given_publications_that_break_a_bound_then_names_the_field_and_the_remedy(home: Path) -> None:
    spoil_learning(home / "platform.sqlite")

    for command, field in (("params", "stop_loss"), ("feeders", "tier"), ("regime", "regime")):
        ended = bot3(command, home=home)
        assert (ended.code, ended.out) == (3, "")
        assert field in ended.said
        assert "publish again with `bot3 learn run`" in ended.said
    assert bot3("status", home=home).code == 0


def test_learn_given_parameters_in_force_that_break_a_bound_then_publishes_sound_ones_in_their_place(home: Path) -> None:
    spoil_learning(home / "platform.sqlite", "parameter_rows", "feeder_scores", "recommendations")

    assert bot3("learn", "run", home=home).code == 0

    assert [bot3(command, home=home).code for command in ("params", "feeders", "regime")] == [0, 0, 0]


@pytest.mark.parametrize("command", ["status", "doctor", "init", "up", "learn run"])
def test_command_given_an_unknown_setting_then_names_the_nearest(nowhere: Path, command: str) -> None:
    ended = bot3(*command.split(), home=nowhere, BOT3_CLOCK_SPEDE="5")

    assert ended.code == 2
    assert "did you mean BOT3_CLOCK_SPEED?" in ended.said
    assert not nowhere.exists()


@pytest.mark.parametrize(("name", "value"), [("BOT3_CLOCK_SPEED", "fast"), ("BOT3_STOP_LOSS", "0.03"), ("BOT3_TRADING_MODE", "live")])
def test_command_given_a_value_out_of_bounds_then_names_the_setting(nowhere: Path, name: str, value: str) -> None:
    ended = bot3("init", home=nowhere, **{name: value})

    assert ended.code == 2
    assert name in ended.said or "trading_mode live is not available yet" in ended.said
    assert not nowhere.exists()


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("status", "--nonsense"), ("trades", "--limit", "0"), ("exit", "BOT1", "one")], ids=" ".join
)
def test_command_given_wrong_usage_then_says_how_to_get_help(seeded: Path, arguments: tuple[str, ...]) -> None:
    ended = bot3(*arguments, home=seeded)

    assert (ended.code, ended.out) == (2, "")
    assert "--help" in ended.said


def test_command_given_a_home_that_cannot_be_written_then_names_it(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory")

    ended = bot3("init", home=blocked / "home", cwd=tmp_path)

    assert ended.code == 3
    assert str(blocked) in ended.said
    assert "BOT3_HOME" in ended.said


def test_doctor_given_a_corrupt_model_file_then_names_it_and_leaves_it(home: Path) -> None:
    damaged = min((home / "models").glob("*.model"))
    damaged.write_bytes(b"tree\nnothing of it\n")

    ended = bot3("doctor", "--json", home=home)

    findings = {finding["subject"]: finding for finding in ended.json()["findings"]}
    assert ended.code == 4
    assert damaged.name in findings["models"]["detail"]
    assert [subject for subject, finding in findings.items() if not finding["is_good"]] == ["models"]
    assert damaged.read_bytes() == b"tree\nnothing of it\n"


def test_doctor_given_a_store_that_is_no_database_then_names_it(home: Path) -> None:
    (home / "bots" / "BOT2.sqlite").write_bytes(b"this is no database at all" * 100)

    ended = bot3("doctor", "--json", home=home)

    bad = {finding["subject"]: finding["detail"] for finding in ended.json()["findings"] if not finding["is_good"]}
    assert ended.code == 4
    assert "BOT2.sqlite" in bad["BOT2 store"]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def test_learn_run_given_a_locked_record_then_says_wait_and_loses_nothing(home: Path) -> None:
    with open_platform(tiny_settings(home), read_only=True) as platform:
        revision = platform.record.revision()

    with locked(home / "platform.sqlite"):
        ended = bot3("learn", "run", home=home)
        looked = bot3("params", home=home)

    with open_platform(tiny_settings(home), read_only=True) as platform:
        assert platform.record.revision() == revision
    assert ended.code == 3
    assert "platform.sqlite" in ended.said
    assert "locked" in ended.said
    assert looked.code == 0


def test_init_given_an_unreadable_candle_directory_then_names_it(nowhere: Path, tmp_path: Path) -> None:
    ended = bot3("init", "--candles", str(tmp_path / "no-such-directory"), home=nowhere)

    assert ended.code == 3
    assert "no-such-directory" in ended.said


@pytest.fixture
def wrong_columns(tmp_path: Path) -> Path:
    folder = tmp_path / "candles" / "futures"
    folder.mkdir(parents=True)
    pd.DataFrame({"when": [1, 2], "price": [1.0, 2.0]}).to_feather(folder / "BTC_USDT_USDT-5m-futures.feather")
    return folder.parent


@pytest.mark.parametrize("command", ["candles check {}", "init --candles {}"])
def test_command_given_candles_with_wrong_columns_then_names_file_and_columns(nowhere: Path, wrong_columns: Path, command: str) -> None:
    ended = bot3(*command.format(wrong_columns).split(), home=nowhere)

    assert ended.code == 3
    assert "BTC_USDT_USDT-5m-futures.feather" in ended.said
    assert "open" in ended.said


def test_candles_fetch_given_no_day_then_says_what_a_day_is(nowhere: Path, tmp_path: Path) -> None:
    ended = bot3("candles", "fetch", "BTC/USDT:USDT", "--directory", str(tmp_path), "--since", "yesterday", home=nowhere)

    assert ended.code == 2
    assert "2025-01-31" in ended.said


def test_up_given_a_port_in_use_then_names_port_and_setting_and_seeds_nothing(nowhere: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        ended = bot3("up", home=nowhere, BOT3_DASHBOARD_PORT=str(port))

    assert ended.code == 6
    assert f"port {port} is in use" in ended.said
    assert "BOT3_DASHBOARD_PORT" in ended.said
    assert not (nowhere / "platform.sqlite").exists()


def test_up_given_the_home_is_served_already_then_says_what_stops_it(home: Path) -> None:
    with FileLock(home / "supervisor.lock"):
        ended = bot3("up", home=home)

    assert ended.code == 6
    assert "bot3 down" in ended.said


def test_down_given_nothing_runs_then_says_so(home: Path) -> None:
    ended = bot3("down", home=home)

    assert ended.code == 0
    assert "no service of" in ended.said


def test_status_given_a_service_that_died_then_is_unhealthy(home: Path) -> None:
    gone = [2**22 + 1, 0.0]
    (home / "run").mkdir()
    state = {"supervisor": gone, "services": {"execution": gone}, "addresses": {}}
    (home / "run" / "supervisor.json").write_text(json.dumps(state))

    ended = bot3("status", "--json", home=home)

    assert ended.code == 4
    assert [(s["service"], s["is_running"]) for s in ended.json()["services"]] == [("supervisor", False), ("execution", False)]


def test_command_given_a_home_file_that_is_damaged_then_names_it(home: Path) -> None:
    (home / "home.json").write_text("{")

    ended = bot3("learn", "run", home=home)

    assert ended.code == 3
    assert "home.json" in ended.said
