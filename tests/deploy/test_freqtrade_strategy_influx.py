"""The mixin on a real InfluxDB: what it reads there is what it reads in the files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.market.regimes import Regime
from bot3.usecases.publishing.files import write_published_files
from bot3.usecases.publishing.publish import publish_everything, publish_learning
from tests.deploy.test_freqtrade_strategy_rules import mixin
from tests.journals import OPENED, PAIR, minutes
from tests.learned import a_recommendation, a_row, a_score, a_set
from tests.published import BOTS, Copy
from tests.servers.influx import InfluxProgram

pytestmark = pytest.mark.influx

FACTORS = dict.fromkeys(Regime, (1.1, 0.9))
LATER = minutes(20)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqlRecord]:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    yield record
    record.close()


@pytest.fixture
def copy(influx: InfluxProgram, tmp_path: Path, record: SqlRecord) -> Iterator[Copy]:
    copy = Copy.on(influx, tmp_path, record=record)
    copy.publisher.prepare(bots=BOTS)
    yield copy
    copy.close()


def source_of(copy: Copy, influx: InfluxProgram) -> Any:
    address = influx.address()
    names = {"BOT3_INFLUX_URL": address.url, "BOT3_INFLUX_ORG": address.org, "BOT3_INFLUX_TOKEN": address.token}
    source = mixin.PublishedInflux({**names, "BOT3_INFLUX_BUCKET": copy.buckets.learning})
    source.refresh()
    return source


def test_influx_given_a_full_and_a_partial_publication_then_it_says_what_the_files_say(
    record: SqlRecord, copy: Copy, influx: InfluxProgram, tmp_path: Path
) -> None:
    week = a_row(pair=PAIR, direction="long", leverage_bin="*@7d", stop_sigma=-0.8)
    full = a_set("v1", a_row(), a_row(pair=PAIR, direction="long", stop_sigma=-0.6), week, regime_factors=FACTORS)
    changed = a_row(pair=PAIR, direction="long", stop_sigma=-0.7, known_at=minutes(1))
    record.parameters.publish(full, replaces=None, is_full=True)
    record.parameters.publish(a_set("v2", changed, known_at=minutes(1), regime_factors=FACTORS), replaces="v1", is_full=False)
    record.recommendations.publish(a_recommendation())
    publish_learning(record.outbox, copy.publisher)
    write_published_files(
        tmp_path, parameters=record.parameters.as_of(LATER), scores=[a_score()], recommendation=record.recommendations.as_of(LATER)
    )
    files = mixin.PublishedFiles(tmp_path)
    files.refresh()

    source = source_of(copy, influx)

    assert source.parameters(as_of=LATER) == files.parameters(as_of=LATER)
    assert source.recommendation(as_of=LATER) == files.recommendation(as_of=LATER)
    found = source.parameters(as_of=LATER)
    assert found.find(pair=PAIR, is_short=False, leverage=3.0).stop_sigma == -0.7
    assert found.find(pair=PAIR, is_short=False, leverage=3.0, horizon_hours=168.0).stop_sigma == -0.8


def test_influx_given_publications_of_before_and_after_a_restore_then_no_entry_until_all_is_published(
    record: SqlRecord, copy: Copy, influx: InfluxProgram
) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    record.recommendations.publish(a_recommendation())
    publish_learning(record.outbox, copy.publisher)
    record.begin_epoch()
    record.parameters.publish(a_set("v2", known_at=minutes(1)), replaces="v1", is_full=True)
    publish_learning(record.outbox, copy.publisher)

    with pytest.raises(mixin.EntryRefusedError, match="missing_parameters"):
        source_of(copy, influx).parameters(as_of=LATER)
    publish_everything(record.outbox, copy.publisher, bots=BOTS)

    assert source_of(copy, influx).parameters(as_of=LATER).version == "v2"


def test_influx_given_nothing_published_then_no_entry(copy: Copy, influx: InfluxProgram) -> None:
    source = source_of(copy, influx)

    with pytest.raises(mixin.EntryRefusedError, match="missing_parameters"):
        source.parameters(as_of=LATER)


def test_influx_given_a_server_that_is_away_then_it_is_told_and_nothing_is_known(caplog: pytest.LogCaptureFixture) -> None:
    source = mixin.PublishedInflux({"BOT3_INFLUX_URL": "http://127.0.0.1:9", "BOT3_INFLUX_TOKEN": "none"})

    source.refresh()

    assert "could not be read" in caplog.text
    with pytest.raises(mixin.EntryRefusedError, match="missing_recommendation"):
        source.recommendation(as_of=OPENED + timedelta(days=1))
