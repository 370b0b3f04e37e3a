"""Recommendations that were published before they named open bins: they are read as their leverage range says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from bot3.adapters.influx.points import parameter_points, recommendation_points
from bot3.adapters.sql import schema_versions as sql_migrations
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.ports.publisher import ParameterPublication, RecommendationPublication
from bot3.trading.leverage_bins import DEFAULT_BINS
from tests.conftest import NewStore
from tests.deploy.test_freqtrade_strategy_influx import source_of
from tests.journals import OPENED, minutes
from tests.learned import a_recommendation, a_set
from tests.published import BOTS, Copy
from tests.servers.influx import InfluxProgram

_OLD_ROW = """
INSERT INTO recommendations (version, regime, tiers, top_feeders, avoid_feeders, leverage_low, leverage_high,
    suggested_position_size_multiplier, parameters_version, scores_version,
    generated_at_us, expires_at_us, known_at_us, computed_at_us, revision)
VALUES ('m0', 'sideways', :tiers, '[3]', '[]', 2.0, 5.0, 1.0, 'p0', 's0', :at, :at, :at, :at, 1)
"""


def upgrade_to(connection: sa.Connection, revision: str) -> None:
    """Bring an empty database to an older schema of the record."""
    directory = Path(sql_migrations.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(directory))
    config.set_main_option("version_locations", str(directory / "platform"))
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, version_table=sql_migrations.version_table("platform"))
    command.upgrade(config, revision)


def test_record_given_a_store_of_the_release_before_then_is_migrated_and_opens_the_bins_of_the_range(new_store: NewStore) -> None:
    url = new_store()
    at_us = round(OPENED.timestamp() * 1e6)
    tiers = "{" + ", ".join(f'"F{number:02d}": "probe"' for number in range(1, 11)) + "}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        upgrade_to(connection, "platform_0003")
        connection.execute(sa.text(_OLD_ROW), {"tiers": tiers, "at": at_us})

    record = SqlRecord.open(url)

    old = record.recommendations.as_of(minutes(1))
    assert (old.version, old.open_bins, old.suggested_leverage_range) == ("m0", ("2.0-3.5", "3.5-5.0"), (2.0, 5.0))
    newer = a_recommendation("m1", known_at=minutes(5))
    record.recommendations.publish(newer)
    assert record.recommendations.as_of(minutes(5)) == newer
    record.close()


@pytest.mark.influx
def test_copy_given_a_point_of_the_release_before_then_daemon_and_mixin_open_the_bins_of_the_range(
    influx: InfluxProgram, tmp_path: Path
) -> None:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    copy = Copy.on(influx, tmp_path, record=record)
    copy.publisher.prepare(bots=BOTS)
    points = recommendation_points(RecommendationPublication(seq=1, recommendation=a_recommendation()), record.origin())
    old = re.sub(r'open_bins="(?:[^"\\]|\\.)*",', "", points.rows[0])
    assert "open_bins" not in old
    parameters = ParameterPublication(seq=1, is_full=True, parameters=a_set("v1"), full_known_at=OPENED, full_seq=1)
    both = parameter_points(parameters, record.origin())
    copy.server.write(copy.buckets.learning, [old, *both.rows])
    copy.server.write(copy.buckets.learning, [points.head, both.head])

    read = copy.reader.recommendations.as_of(minutes(1))

    assert read == a_recommendation()
    assert set(read.open_bins) < set(DEFAULT_BINS.names)
    source = source_of(copy, influx)
    copy.close()
    record.close()
    assert source._recommendation.open_bins == read.open_bins
