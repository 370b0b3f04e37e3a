"""The copy of a home's record: who publishes, who reads, and what happens where there is no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bot3.adapters.sql_record import SqlRecord
from bot3.errors import SettingsError, StoreBusyError
from bot3.settings import load_settings
from bot3.wiring.ports import Ports
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_recommendation, a_regime, a_score, a_set
from tests.servers.influx import InfluxProgram

NOBODY = "http://127.0.0.1:1"


def ports_of(home: Path, **changes: Any) -> Ports:
    return Ports(load_settings({}, env_file=home / "no.env", home=home, **changes), read_only=False)


def copied(home: Path, influx: InfluxProgram, **changes: Any) -> Ports:
    """Return the ports of a home whose copy is in buckets of its own."""
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")}
    given = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token, "influx_bucket": f"{prefix}learning"}
    return ports_of(home, **given, **names, **changes)


def write_something(record: SqlRecord) -> None:
    record.publish_parameters(a_set("v1"), replaces=None, is_full=True)
    record.publish_feeder_scores([a_score()])
    record.publish_regimes([a_regime()])
    record.publish_recommendation(a_recommendation())
    record.upsert_trades([a_closed_trade(1), a_closed_trade(2, bot="BOT3")])


@pytest.fixture
def unpublished(tmp_path: Path) -> Iterator[Ports]:
    ports = ports_of(tmp_path)
    yield ports
    ports.close()


def test_publishing_given_no_server_then_the_record_is_read_and_the_outbox_kept_small(unpublished: Ports) -> None:
    write_something(unpublished.record)

    assert unpublished.publishing.publish() is None

    assert unpublished.learning_reader is unpublished.record
    span = unpublished.record.span()
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

    span = ports.record.span()
    assert span is not None
    assert span.writes == 5
    ports.close()


@pytest.mark.influx
def test_publishing_given_a_server_then_the_copy_is_equal_and_the_daemon_reads_it(tmp_path: Path, influx: InfluxProgram) -> None:
    ports = copied(tmp_path, influx, parameters_from="influx", influx_poll_s=0.01)
    write_something(ports.record)

    report = ports.publishing.publish()

    assert report is not None
    assert (report.writes, report.refused) == (5, 0)
    assert ports.publishing.copy.health() == ()
    assert ports.publishing.check(now=minutes(1)).is_equal
    assert ports.learning_reader is not ports.record
    assert ports.learning_reader.parameters(as_of=OPENED) == ports.record.parameters(as_of=OPENED)
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
