"""The fleet file: what it names, what it refuses, and what the platform does with it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import SettingsError, StoreBusyError
from bot3.settings import BOT_NAMES
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.foreign_sources import reachable
from bot3.wiring import open_platform
from bot3.wiring.fleet import read_fleet, require_name, zone_of
from tests.seeded import tiny_settings
from tests.servers.freqtrade_db import OPENED, FreqtradeDb, a_row
from tests.servers.postgres import PostgresServer

GRID = '[[bots]]\nname = "GRID7"\nurl = "grid7.sqlite"\nrun_mode = "live"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.toml"


def test_read_fleet_given_a_file_beside_it_then_it_is_found_there(file: Path) -> None:
    file.write_text(GRID)

    (bot,) = read_fleet(file)

    assert (bot.name, bot.url, bot.run_mode) == ("GRID7", str(file.parent / "grid7.sqlite"), RunMode.LIVE)
    assert (bot.source_timezone, bot.directions) == ("UTC", ("long", "short"))


def test_read_fleet_given_a_password_file_then_the_password_is_never_shown(file: Path) -> None:
    (file.parent / "secret").write_text("canary-7\n")
    file.write_text('[[bots]]\nname = "PG"\nurl = "postgresql://reader@db/pg"\npassword_file = "secret"\nrun_mode = "paper"\n')

    (bot,) = read_fleet(file)

    assert "canary-7" in bot.url
    assert "canary-7" not in repr(bot)
    assert bot.shown == "postgresql://reader@db/pg"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bots = 1", "bots"),
        ("[[bots", "is not valid TOML"),
        ('[[bots]]\nname = "A"\nurl = "a.sqlite"\n', "bots 1 run_mode: Field required"),
        ('[[bots]]\nname = "A/B"\nurl = "a.sqlite"\nrun_mode = "live"\n', "bots 1 name"),
        (GRID + 'colour = "red"\n', "bots 1 colour"),
        (GRID + 'directions = ["up"]\n', "bots 1 directions 1"),
        (GRID + 'source_timezone = "Mars/Base"\n', "GRID7: source_timezone 'Mars/Base' is not a time zone"),
        (GRID + GRID, "names GRID7 with run_mode live twice"),
        (GRID.replace("GRID7", "BOT1").replace("live", "paper"), "paper trades of BOT1 are this platform's own"),
        (GRID.replace("grid7.sqlite", "mysql://u@h/d"), "SQLite or PostgreSQL, not mysql"),
        (GRID.replace("grid7.sqlite", "postgresql://u:canary-7@h/d"), "url contains a password"),
        (GRID.replace("grid7.sqlite", "postgresql:///d?host=h&user=u&password=canary-7"), "url contains a password"),
        (GRID + 'schema = "bot1"\n', "GRID7: schema is only valid with a PostgreSQL url"),
        (
            GRID.replace("grid7.sqlite", "postgresql://u@h/d?currentSchema=a") + 'schema = "b"\n',
            "GRID7: postgresql://u@h/d?currentSchema=a names",
        ),
        (GRID.replace("grid7.sqlite", "postgresql://u@h/d") + 'password_file = "gone"\n', "gone cannot be read"),
    ],
)
def test_read_fleet_given_what_is_wrong_then_names_it_and_no_secret(file: Path, text: str, said: str) -> None:
    file.write_text(text)

    with pytest.raises(SettingsError) as raised:
        read_fleet(file)

    assert said in str(raised.value)
    assert str(file) in str(raised.value)
    assert "canary-7" not in str(raised.value)


@pytest.mark.postgres
def test_platform_given_two_bots_in_schemas_of_one_database_then_each_has_its_own_trades_and_zone(
    tmp_path: Path, file: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    FreqtradeDb(url).add(a_row(1))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA bot1")
    FreqtradeDb(f"{url}&options=-csearch_path%3Dbot1").add(a_row(1), a_row(2), a_row(3))
    entry = f'[[bots]]\nname = "GRID7"\nurl = "{url}"\nrun_mode = "live"\nsource_timezone = "Asia/Tokyo"\n'
    file.write_text(entry.replace("GRID7", "MAIN") + entry + 'schema = "bot1"\n')

    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as platform:
        synced = {name: platform.steps.sync(name)[0].outcome.inserted for name in ("MAIN", "GRID7")}
        zones = [zone_of(bot) for bot in platform.fleet_bots]
        identities = {reader.store_id for reader in platform.fleet}

    assert synced == {"MAIN": 1, "GRID7": 3}
    assert (zones, len(identities)) == (["Asia/Tokyo"] * 2, 2)


@pytest.mark.parametrize(("name", "owner"), [("BOT33", "BOT3"), ("alpha", "learning"), ("beta", "BOT1")])
def test_platform_given_a_bot_whose_bucket_is_anothers_then_refuses_it_and_names_both(
    tmp_path: Path, file: Path, name: str, owner: str
) -> None:
    file.write_text(GRID.replace("GRID7", name))
    settings = tiny_settings(tmp_path / "home", fleet_file=file, influx_bucket="alpha_trades", bot1_influx_bucket="beta_trades")

    with open_platform(settings) as platform, pytest.raises(SettingsError) as raised:
        platform.sources()

    setting = "BOT3_INFLUX_BUCKET" if owner == "learning" else f"BOT3_{owner}_INFLUX_BUCKET"
    assert f"trades of {name} would be written to InfluxDB's bucket {name}_trades, which belongs to {owner}" in str(raised.value)
    assert setting in str(raised.value)
    assert str(file) in str(raised.value)


def test_platform_given_bot3s_bucket_has_another_name_then_takes_a_bot33(tmp_path: Path, file: Path) -> None:
    file.write_text(GRID.replace("GRID7", "BOT33"))

    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file, bot3_influx_bucket="META_trades")) as platform:
        assert platform.source_names == (*BOT_NAMES, "BOT33")


def test_platform_given_a_fleet_then_its_bots_are_sources_beside_our_own(tmp_path: Path, file: Path) -> None:
    FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite")).add(a_row(1), a_row(2))
    file.write_text(GRID + GRID.replace("GRID7", "BOT1"))

    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as platform:
        assert platform.source_names == (*BOT_NAMES, "GRID7")
        assert platform.bot_names == BOT_NAMES
        assert [source.run_mode for source in platform.sources(["BOT1"])] == [RunMode.PAPER, RunMode.BACKTEST, RunMode.LIVE]
        assert platform.steps.unsynced_closes() == 4

        (synced,) = platform.steps.sync("GRID7")

        assert (synced.outcome.inserted, synced.is_reconciled, synced.run_mode) == (2, True, RunMode.LIVE)
        assert platform.steps.unsynced_closes() == 2


def test_platform_given_a_source_that_is_away_then_the_others_are_read(tmp_path: Path, file: Path) -> None:
    FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite")).add(a_row(1))
    file.write_text(GRID + GRID.replace("GRID7", "LATE").replace("grid7", "late"))

    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as platform:
        readable = reachable(platform.sources(["GRID7", "LATE"]))

        assert [source.reader.bot for source in readable] == ["GRID7"]
        assert platform.steps.unsynced_closes() == 1
        with pytest.raises(StoreBusyError, match=r"late\.sqlite does not exist"):
            platform.steps.sync("LATE")


def test_sources_given_an_unknown_name_then_names_the_bots(tmp_path: Path, file: Path) -> None:
    file.write_text(GRID)

    with (
        open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as platform,
        pytest.raises(SettingsError, match="BOT1, BOT2, BOT3, GRID7"),
    ):
        platform.sources(["GRID8"])


@pytest.mark.parametrize("name", ["", "7up", "a/b", "ünï", "x" * 33, "BOT1\n"])
def test_require_name_given_no_name_then_refuses(name: str) -> None:
    with pytest.raises(SettingsError, match="is not a valid bot name"):
        require_name(name)


@pytest.mark.postgres
def test_sync_given_three_ages_and_time_zones_then_all_are_reconciled_at_the_same_instants(
    tmp_path: Path, file: Path, postgres: PostgresServer
) -> None:
    shared = [
        a_row(number, open_date=OPENED + timedelta(hours=number), close_date=OPENED + timedelta(hours=number + 1)) for number in (1, 2)
    ]
    local = [row | {name: row[name] + timedelta(hours=1) for name in ("open_date", "close_date")} for row in shared]
    tokyo = [row | {name: row[name] + timedelta(hours=9) for name in ("open_date", "close_date")} for row in shared]
    berlin_url, tokyo_url = postgres.new_database(), postgres.new_database()
    FreqtradeDb(sqlite_url(tmp_path / "old.sqlite"), age="2022.4").add(*shared)
    FreqtradeDb(berlin_url).add(*local)
    FreqtradeDb(tokyo_url, age="2022.4").add(*tokyo)
    file.write_text(
        '[[bots]]\nname = "OLD"\nurl = "old.sqlite"\nrun_mode = "live"\n'
        f'[[bots]]\nname = "BERLIN"\nurl = "{berlin_url}"\nrun_mode = "live"\nsource_timezone = "Europe/Berlin"\n'
        f'[[bots]]\nname = "TOKYO"\nurl = "{tokyo_url}"\nrun_mode = "live"\nsource_timezone = "Asia/Tokyo"\n'
    )

    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as platform:
        syncs = [sync for bot in ("OLD", "BERLIN", "TOKYO") for sync in platform.steps.sync(bot)]
        trades = platform.record.trades.frame(as_of=None, run_modes=(RunMode.LIVE,))

    assert [(sync.source_count, sync.record_count, sync.is_reconciled) for sync in syncs] == [(2, 2, True)] * 3
    opened = trades.groupby("bot")["open_date"].apply(lambda times: tuple(times.dt.tz_localize(None)))
    assert set(opened) == {tuple(row["open_date"] for row in shared)}
