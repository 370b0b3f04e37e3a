"""One suite for every `LearningReader` on rows that break a bound: refused with row and field named, the others still read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot3.adapters.cached_learning import FollowedLearning
from bot3.adapters.influx.line_protocol import point_ns
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import InvalidLearningError, LearningError
from bot3.ports.learning import InForce, LearningReader
from bot3.trading.recommendations import FeederTier
from bot3.usecases.publishing.publish import publish_learning
from tests.journals import PAIR, minutes
from tests.learned import a_recommendation, a_regime, a_row, a_score, a_set
from tests.published import BOTS, Copy

CELL = {"pair": PAIR, "direction": "long", "leverage_bin": "5.0-7.5"}
NOW = minutes(9)
NOUNS = ("parameters", "feeder_scores", "regime", "recommendation")

# How each field is kept: noun, table and column of the databases, measurement and series of the copy.
_PLACES = {
    "parameters": ("parameter_rows", "direction = 'long'", f"adaptive_params_by_pair,direction=long,leverage_bin=5.0-7.5,pair={PAIR}"),
    "feeder_scores": ("feeder_scores", "feeder_id = 'F02'", "feeder_scores,feeder_id=F02,regime=*"),
    "regime": ("regime_states", "1 = 1", "regime_state"),
    "recommendation": ("recommendations", "1 = 1", "meta_recommendations"),
}
_COLUMNS = {"suggested_leverage_low": "leverage_low", "suggested_leverage_high": "leverage_high"}


@dataclass
class Published:
    """One publication of each noun, and a way to write a value into it as its store would hold it."""

    reader: LearningReader
    record: SqlRecord
    copy: Copy | None
    look: Callable[[], object] = lambda: None

    def spoil(self, noun: str, field: str, value: str | float) -> None:
        table, condition, series = _PLACES[noun]
        if self.copy is None:
            column = _COLUMNS.get(field, field)
            with self.record._database.engine.begin() as connection:
                statement = sa.text(f"UPDATE {table} SET {column} = :value WHERE {condition}")  # noqa: S608  # names of this file
                assert connection.execute(statement, {"value": value}).rowcount == 1
                connection.execute(sa.text("UPDATE record_meta SET learning_revision = learning_revision + 1"))
        else:
            text = f'"{value.replace(chr(34), chr(92) + chr(34))}"' if isinstance(value, str) else repr(float(value))
            at_ns = point_ns(minutes(0), 0 if noun == "regime" else 1)
            self.copy.server.write(self.copy.buckets.learning, [f"{series} {field}={text} {at_ns}"])

    def read(self, noun: str, *, as_of: datetime = NOW) -> Any:
        self.look()
        readers: dict[str, InForce[Any]] = {
            "parameters": self.reader.parameters,
            "feeder_scores": self.reader.feeder_scores,
            "regime": self.reader.regimes,
            "recommendation": self.reader.recommendations,
        }
        return readers[noun].as_of(as_of)


def publish_all(record: SqlRecord) -> None:
    record.parameters.publish(a_set("v1", a_row(), a_row(**CELL)), replaces=None, is_full=True)
    record.feeder_scores.publish([a_score("F01"), a_score("F02", rank=2)])
    record.regimes.publish([a_regime()])
    record.recommendations.publish(a_recommendation())


@pytest.fixture(
    params=["sqlite", "followed", pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("influx", marks=pytest.mark.influx)]
)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Published]:
    is_server = request.param == "postgres"
    url = request.getfixturevalue("postgres").new_database() if is_server else sqlite_url(tmp_path / "platform.sqlite")
    with ExitStack() as opened:
        record = SqlRecord.open(url)
        opened.callback(record.close)
        publish_all(record)
        if request.param == "influx":
            copy = Copy.on(request.getfixturevalue("influx"), tmp_path, record=record)
            opened.callback(copy.close)
            copy.publisher.prepare(bots=BOTS)
            publish_learning(record.outbox, copy.publisher)
            yield Published(reader=copy.reader, record=record, copy=copy)
        elif request.param == "followed":
            followed = FollowedLearning(record, now=lambda: NOW, poll_s=0.01, first_wait_s=0.0)
            yield Published(reader=followed, record=record, copy=None, look=followed.look)
        else:
            yield Published(reader=record, record=record, copy=None)


BAD: list[tuple[str, str, str | float]] = [
    ("parameters", "stop_loss", 0.0),
    ("parameters", "stop_move", -0.02),
    ("parameters", "stop_sigma", -500.0),
    ("parameters", "take_profit_target", -0.01),
    ("parameters", "take_profit_sigma", 1_000.0),
    ("parameters", "leverage_ref", 12.0),
    ("parameters", "expectancy", 0.5),
    ("parameters", "state", "maybe"),
    ("feeder_scores", "tier", "all in"),
    ("feeder_scores", "lower_bound", 0.9),
    ("regime", "regime", "calm"),
    ("regime", "p_volatile", 7.0),
    ("recommendation", "suggested_leverage_high", 20.0),
    ("recommendation", "suggested_position_size_multiplier", 1e9),
    ("recommendation", "tiers", '{"F01": "all in"}'),
    ("recommendation", "tiers", "{"),
    ("recommendation", "top_feeders", "[11]"),
    ("recommendation", "open_bins", '["20.0-1.0"]'),
]


@pytest.mark.parametrize(("noun", "field", "value"), BAD, ids=str)
def test_reader_given_a_value_out_of_bounds_then_refuses_it_with_the_field_named_and_reads_the_other_nouns(
    published: Published, noun: str, field: str, value: str | float
) -> None:
    published.spoil(noun, field, value)

    with pytest.raises(InvalidLearningError, match=field) as caught:
        published.read(noun)

    row = {
        "parameters": f"row {PAIR}|long|5.0-7.5",
        "feeder_scores": "row F02",
        "regime": "regime state",
        "recommendation": "recommendation",
    }
    assert row[noun] in str(caught.value)
    for other in NOUNS:
        if other != noun:
            assert published.read(other)


@pytest.mark.parametrize(
    ("noun", "field"),
    [("parameters", "stop_loss"), ("parameters", "lower_bound"), ("recommendation", "suggested_position_size_multiplier")],
)
@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.postgres
def test_postgres_given_what_is_no_number_then_refuses_it(published: Published, noun: str, field: str, value: str) -> None:
    if published.record._database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite keeps no NaN where a number must be, and InfluxDB neither")
    published.spoil(noun, field, float(value))

    with pytest.raises(InvalidLearningError, match=field):
        published.read(noun)


def test_reader_given_texts_where_sqlite_keeps_numbers_and_times_then_refuses_them(published: Published) -> None:
    if published.copy is not None or published.record._database.engine.dialect.name != "sqlite":
        pytest.skip("servers keep types")
    published.spoil("parameters", "sigma_ref", "wild")
    published.spoil("recommendation", "expires_at_us", "never")

    with pytest.raises(InvalidLearningError, match="sigma_ref must be a finite number"):
        published.read("parameters")
    with pytest.raises(InvalidLearningError, match="expires_at must be a time"):
        published.read("recommendation")


def test_reader_given_a_factor_of_a_regime_out_of_bounds_then_refuses_the_parameters(published: Published) -> None:
    if published.copy is not None:
        pytest.skip("factors are in the head there, which is one text")
    with published.record._database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE regime_factors SET stop_factor = -1.0"))
        connection.execute(sa.text("UPDATE record_meta SET learning_revision = learning_revision + 1"))

    with pytest.raises(InvalidLearningError, match=r"regime factors of volatile: factor on the stop must be"):
        published.read("parameters")


def test_reader_given_an_unknown_feeder_among_scores_then_refuses_them(published: Published) -> None:
    if published.copy is not None:
        series, at_ns = "feeder_scores,feeder_id=F11,regime=*", point_ns(minutes(0), 1)
        published.copy.server.write(published.copy.buckets.learning, [f"{series} n=1i {at_ns}"])
    else:
        published.spoil("feeder_scores", "feeder_id", "F11")

    with pytest.raises(LearningError, match=r"F11|incomplete"):
        published.read("feeder_scores")


def test_reader_given_tiers_of_an_unknown_feeder_and_none_of_a_known_one_then_both_are_probes(published: Published) -> None:
    published.spoil("recommendation", "tiers", '{"F01": "trade", "F11": "trade"}')

    made = published.read("recommendation")

    assert [made.tier(feeder) for feeder in ("F01", "F02", "F11")] == [FeederTier.TRADE, FeederTier.PROBE, FeederTier.PROBE]


def test_followed_given_a_bad_publication_after_a_good_one_then_keeps_the_good_one(tmp_path: Path) -> None:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    publish_all(record)
    followed = FollowedLearning(record, now=lambda: NOW, poll_s=0.01, first_wait_s=0.0)
    good = Published(reader=followed, record=record, copy=None, look=followed.look)
    before = good.read("parameters")

    good.spoil("parameters", "stop_loss", 0.0)

    assert good.read("parameters") == before
    record.close()


def test_next_known_at_given_publications_that_wait_then_is_the_first_of_them(published: Published) -> None:
    published.record.parameters.publish(a_set("v2", known_at=minutes(12)), replaces="v1", is_full=True)
    published.record.regimes.publish([a_regime(minutes(15))])
    published.record.recommendations.publish(a_recommendation("m2", known_at=minutes(20)))
    if published.copy is not None:
        publish_learning(published.record.outbox, published.copy.publisher)
    assert published.read("parameters").version == "v1"

    # A reader that follows knows the next one alone.
    times = (9,) if isinstance(published.reader, FollowedLearning) else (9, 12, 15, 20)
    found = [published.reader.next_known_at(after=minutes(at)) for at in times]

    assert found == [minutes(12), minutes(15), minutes(20), None][: len(times)]
