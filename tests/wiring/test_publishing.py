"""The copy of a home's record: who publishes, who reads, and what happens where there is no server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import SettingsError, StoreBusyError
from bot3.settings import load_settings
from bot3.trading.trades import RunMode
from bot3.wiring import Platform, open_platform
from bot3.wiring.ports import Ports
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_recommendation, a_regime, a_score, a_set
from tests.servers.cut_proxy import CutProxy
from tests.servers.freqtrade_db import OPENED as OPENED_THERE
from tests.servers.freqtrade_db import FreqtradeDb, a_row
from tests.servers.influx import InfluxProgram

NOBODY = "http://127.0.0.1:1"


def ports_of(home: Path, **changes: Any) -> Ports:
    return Ports(load_settings({}, env_file=home / "no.env", home=home, **changes), read_only=False)


def copied(home: Path, influx: InfluxProgram, **changes: Any) -> Ports:
    """Return the ports of a home whose copy is in buckets of its own."""
    return ports_of(home, **given_to(influx, **changes))


def given_to(influx: InfluxProgram, **changes: Any) -> dict[str, Any]:
    """Return settings of a copy in buckets of its own."""
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")}
    server = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token}
    return server | names | {"influx_bucket": f"{prefix}learning"} | changes


def write_something(record: SqlRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    record.feeder_scores.publish([a_score()])
    record.regimes.publish([a_regime()])
    record.recommendations.publish(a_recommendation())
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2, bot="BOT3")])


@pytest.fixture
def unpublished(tmp_path: Path) -> Iterator[Ports]:
    ports = ports_of(tmp_path)
    yield ports
    ports.close()


def test_publishing_given_no_server_then_the_record_is_read_and_the_outbox_kept_small(unpublished: Ports) -> None:
    write_something(unpublished.record)

    assert unpublished.publishing.publish() is None

    assert unpublished.learning_reader is unpublished.record
    span = unpublished.record.outbox.span()
    assert span is not None
    assert (span.since, span.until, span.writes) == (0, 5, 1)


def test_publishing_given_no_server_then_asking_for_the_copy_names_the_setting(unpublished: Ports) -> None:
    with pytest.raises(SettingsError, match="BOT3_INFLUX_URL is empty"):
        _ = unpublished.publishing.copy


def test_settings_given_learning_from_influx_without_an_address_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="influx_url is empty"):
        ports_of(tmp_path, parameters_from="influx")


def test_publishing_given_a_server_that_is_down_then_says_so_and_everything_waits(tmp_path: Path) -> None:
    ports = ports_of(tmp_path, influx_url=NOBODY, influx_timeout_s=0.5)
    write_something(ports.record)

    with pytest.raises(StoreBusyError, match=r"InfluxDB at 127\.0\.0\.1:1 cannot be reached in time"):
        ports.publishing.publish()

    span = ports.record.outbox.span()
    assert span is not None
    assert span.writes == 5
    ports.close()


@pytest.mark.influx
def test_publishing_given_a_server_then_the_copy_is_equal_and_the_daemon_reads_it(tmp_path: Path, influx: InfluxProgram) -> None:
    ports = copied(tmp_path, influx, parameters_from="influx", influx_poll_s=0.01)
    ports.set_clock(minutes(1))
    write_something(ports.record)

    report = ports.publishing.publish()

    assert report is not None
    assert (report.writes, report.refused) == (5, 0)
    assert ports.publishing.health() == ()
    assert ports.publishing.check(now=minutes(1)).is_equal
    assert ports.learning_reader is not ports.record
    assert ports.learning_reader.parameters.as_of(OPENED) == ports.record.parameters.as_of(OPENED)
    ports.close()


@pytest.mark.influx
def test_check_given_connections_that_are_half_open_since_the_last_one_then_does_not_wait_for_them(
    tmp_path: Path, influx: InfluxProgram
) -> None:
    with CutProxy(int(influx.url.rpartition(":")[2])) as proxy:
        ports = copied(tmp_path, influx, influx_url=proxy.url, influx_timeout_s=2.0)
        ports.publishing.publish()
        ports.publishing.check(now=minutes(1))
        proxy.stall()

        assert ports.publishing.check(now=minutes(1)).is_equal

        ports.close()


@pytest.mark.influx
def test_publishing_given_another_process_that_publishes_then_waits_for_it(tmp_path: Path, influx: InfluxProgram) -> None:
    ports = copied(tmp_path, influx)
    write_something(ports.record)
    (tmp_path / "influx").mkdir()

    with FileLock(tmp_path / "influx" / "publishing.lock"), pytest.raises(StoreBusyError, match="another process is publishing"):
        ports.publishing.publish()

    report = ports.publishing.publish()
    assert report is not None
    assert report.writes == 5
    ports.close()


@pytest.mark.influx
def test_publishing_given_a_record_of_before_there_was_a_copy_then_publishes_all_of_it(tmp_path: Path, influx: InfluxProgram) -> None:
    before = ports_of(tmp_path)
    write_something(before.record)
    before.publishing.publish()
    before.close()

    after = copied(tmp_path, influx)
    after.publishing.publish()

    assert after.publishing.check(now=minutes(1)).is_equal
    after.close()


FLEET = '[[bots]]\nname = "{name}"\nurl = "grid.sqlite"\nrun_mode = "live"\n'
LIFE_DAYS = 3_650


@pytest.fixture
def grid(tmp_path: Path) -> FreqtradeDb:
    return FreqtradeDb(sqlite_url(tmp_path / "grid.sqlite"))


@pytest.fixture
def names(influx: InfluxProgram) -> tuple[str, str]:
    """Return names that no other test's buckets have: of a bot of the fleet, and of one that was imported."""
    prefix = influx.new_prefix()
    return f"{prefix}GRID", f"{prefix}OLD"


@pytest.fixture
def fleet(tmp_path: Path, influx: InfluxProgram, grid: FreqtradeDb, names: tuple[str, str]) -> Iterator[Platform]:
    """Yield a home whose fleet is one bot, and whose copy keeps trades for ten years."""
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.format(name=names[0]))
    given = given_to(influx, influx_trades_days=LIFE_DAYS, fleet_file=file)
    with open_platform(load_settings({}, env_file=tmp_path / "no.env", home=tmp_path / "home", **given)) as platform:
        yield platform


@pytest.mark.influx
def test_publishing_given_bots_of_the_fleet_and_imported_ones_then_each_has_a_bucket_with_its_retention_and_is_checked(
    fleet: Platform, grid: FreqtradeDb, names: tuple[str, str], influx: InfluxProgram
) -> None:
    grid.add(a_row(1), a_row(2))
    fleet.steps.sync(names[0])
    fleet.record.trades.upsert([replace(trade, bot=names[1]) for trade in fleet.fleet[0].closed_trades(closed_since=None)])
    missing = fleet.publishing.health()

    fleet.publishing.publish()

    assert [any(f"bucket {name}_trades is missing" in text for text in missing) for name in names] == [True, True]
    assert fleet.publishing.health() == ()
    kept = InfluxServer(influx.address()).buckets(f"{name}_trades" for name in names)
    assert [kept[f"{name}_trades"] for name in names] == [LIFE_DAYS * 86_400] * 2
    found = fleet.publishing.check(now=minutes(1))
    assert found.is_equal
    assert [found.trades[name].published for name in names] == [2, 2]


@pytest.mark.influx
def test_check_given_the_copy_of_a_foreign_bot_differs_then_names_its_trades(
    fleet: Platform, grid: FreqtradeDb, names: tuple[str, str], influx: InfluxProgram
) -> None:
    grid.add(a_row(1), a_row(2))
    fleet.steps.sync(names[0])
    fleet.publishing.publish()
    at = int((OPENED_THERE + timedelta(hours=1)).replace(tzinfo=UTC).timestamp()) * 1_000_000_000 + 2
    tags = {"bot": names[0], "run_mode": "live"}
    InfluxServer(influx.address()).delete(f"{names[0]}_trades", measurement="trades", tags=tags, at_ns=at)

    found = fleet.publishing.check(now=minutes(1))

    assert not found.is_equal
    assert (found.trades[names[0]].missing, found.trades[names[0]].record) == ((2,), 2)


@pytest.mark.influx
def test_check_given_a_foreign_bot_lost_all_its_trades_then_is_still_looked_at(
    fleet: Platform, grid: FreqtradeDb, names: tuple[str, str]
) -> None:
    grid.add(a_row(1))
    fleet.steps.sync(names[0])
    fleet.publishing.publish()
    grid.execute("DELETE FROM trades")
    fleet.steps.sync(names[0])

    late = fleet.publishing.check(now=minutes(1))
    fleet.publishing.publish()

    assert (late.trades[names[0]].extra, late.waiting) == ((1,), 1)
    assert fleet.publishing.check(now=minutes(1)).is_equal


@pytest.mark.influx
def test_publishing_given_a_record_that_holds_a_bot_of_another_bots_bucket_then_refuses_and_names_both(
    tmp_path: Path, influx: InfluxProgram
) -> None:
    ports = copied(tmp_path, influx, bot3_influx_bucket="BOT33_trades")
    ports.record.trades.upsert([a_closed_trade(1, bot="BOT33", run_mode=RunMode.LIVE)])

    with pytest.raises(SettingsError, match="trades of BOT33 would be written to InfluxDB's bucket BOT33_trades, which belongs to BOT3"):
        ports.publishing.publish()
    ports.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bot1_influx_bucket": "BOT2_trades"}, "BOT3_BOT1_INFLUX_BUCKET and BOT3_BOT2_INFLUX_BUCKET are both 'BOT2_trades'"),
        ({"influx_bucket": "BOT33_trades"}, "BOT3_BOT3_INFLUX_BUCKET and BOT3_INFLUX_BUCKET are both 'BOT33_trades'"),
        ({"influx_bucket": "_learning"}, "BOT3_INFLUX_BUCKET is '_learning'"),
        ({"bot2_influx_bucket": 'a"b'}, "BOT3_BOT2_INFLUX_BUCKET is"),
        ({"bot3_influx_bucket": ""}, "BOT3_BOT3_INFLUX_BUCKET is ''"),
    ],
)
def test_settings_given_buckets_that_collide_or_cannot_be_then_names_the_settings(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        ports_of(tmp_path, **changes)
