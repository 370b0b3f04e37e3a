"""One suite for the published learning of every `PlatformRecord`, and of the copy in InfluxDB that is read instead of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import LearningError, StoreConflictError, StoreError
from bot3.market.regimes import Regime
from bot3.ports.record import PlatformRecord
from tests.conftest import NewStore
from tests.journals import OPENED, PAIR, minutes
from tests.learned import a_model, a_recommendation, a_regime, a_row, a_score, a_set
from tests.published import Copy, published_record

CELL = {"pair": PAIR, "direction": "long", "leverage_bin": "5.0-7.5"}


NewRecord = Callable[[], PlatformRecord]
"""Makes an empty record; it is closed at the end of the test."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("influx", marks=pytest.mark.influx)])
def new_record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewRecord]:
    """Make empty records: on each kind of database, and on SQLite with its learning read from InfluxDB."""
    files = (sqlite_url(tmp_path / f"store{number}.sqlite") for number in range(1, 100))
    with ExitStack() as opened:

        def make() -> PlatformRecord:
            record: SqlRecord
            if request.param == "influx":
                record = published_record(next(files), Copy.on(request.getfixturevalue("influx"), tmp_path))
            else:
                record = SqlRecord.open(next(files) if request.param == "sqlite" else request.getfixturevalue("postgres").new_database())
            opened.callback(record.close)
            return record

        yield make


@pytest.fixture
def record(new_record: NewRecord) -> PlatformRecord:
    return new_record()


def test_parameters_given_a_publication_then_returns_it_whole(record: PlatformRecord) -> None:
    week = (a_row(leverage_bin="*@7d", parent="*|*|*"), a_row(**CELL | {"leverage_bin": "5.0-7.5@7d"}))
    published = a_set("v1", a_row(), a_row(**CELL, win_rate=None, left_out_count=3, late_count=1, is_censored=True), *week)

    assert record.parameters.publish(published, replaces=None, is_full=True) == 1

    assert record.parameters.as_of(OPENED) == published


def test_parameters_given_an_increment_then_takes_the_newest_of_each_group(record: PlatformRecord) -> None:
    week = a_row(leverage_bin="*@7d")
    record.parameters.publish(a_set("v1", a_row(), a_row(**CELL), week), replaces=None, is_full=True)
    increment = a_set("v2", a_row(**CELL, stop_sigma=-4.0), known_at=minutes(5), regime_factors={Regime.SIDEWAYS: (1.0, 1.0)})
    record.parameters.publish(increment, replaces="v1", is_full=False)

    now, before = record.parameters.as_of(minutes(5)), record.parameters.as_of(minutes(4))

    assert {key: row.version for key, row in now.rows.items()} == {"*|*|*": "v1", "*|*|*@7d": "v1", f"{PAIR}|long|5.0-7.5": "v2"}
    assert (now.version, now.expires_at, now.regime_factors) == ("v2", increment.expires_at, increment.regime_factors)
    assert {row.version for row in before.rows.values()} == {"v1"}
    assert before.version == "v1"


def test_parameters_given_a_full_publication_then_groups_it_left_out_are_gone(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1", a_row(), a_row(**CELL)), replaces=None, is_full=True)
    record.parameters.publish(a_set("v2", a_row(), known_at=minutes(5)), replaces="v1", is_full=True)

    assert set(record.parameters.as_of(minutes(5)).rows) == {"*|*|*"}
    assert len(record.parameters.as_of(minutes(4)).rows) == 2


def test_parameters_given_nothing_by_then_then_says_so(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)

    with pytest.raises(LearningError, match="no parameters were published by"):
        record.parameters.as_of(OPENED - timedelta(microseconds=1))


@given(known=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=6), at=st.integers(min_value=0, max_value=45))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_parameters_given_as_of_then_never_shows_later_rows(new_record: NewRecord, known: list[int], at: int) -> None:
    record = new_record()
    replaces = None
    for number, minute in enumerate(sorted(known)):
        published = a_set(f"v{number}", a_row(known_at=minutes(minute)), known_at=minutes(minute))
        record.parameters.publish(published, replaces=replaces, is_full=number == 0)
        replaces = published.version

    if at < min(known):
        with pytest.raises(LearningError):
            record.parameters.as_of(minutes(at))
    else:
        found = record.parameters.as_of(minutes(at))
        assert found.known_at == max(minutes(minute) for minute in known if minute <= at)
        assert all(row.known_at <= minutes(at) for row in found.rows.values())


def test_publish_parameters_given_two_writers_then_the_second_is_told(new_store: NewStore) -> None:
    url = new_store()
    record, other = SqlRecord.open(url), SqlRecord.open(url)
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    record.parameters.publish(a_set("v2", known_at=minutes(1)), replaces="v1", is_full=False)

    with pytest.raises(StoreConflictError, match="v2 are in force, not v1"):
        other.parameters.publish(a_set("v3", known_at=minutes(2)), replaces="v1", is_full=False)

    assert other.parameters.as_of(minutes(9)).version == "v2"
    assert other.revision() == 2
    record.close()
    other.close()


def test_publish_parameters_given_the_same_twice_then_changes_nothing(record: PlatformRecord) -> None:
    published = a_set("v1")
    record.parameters.publish(published, replaces=None, is_full=True)
    token = record.learning_token()

    assert record.parameters.publish(published, replaces=None, is_full=True) == 1
    assert record.learning_token() == token


def test_publish_parameters_given_a_later_expiry_then_renews(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    renewed = a_set("v1", known_at=minutes(9))

    assert record.parameters.publish(renewed, replaces="v1", is_full=True) == 2
    assert record.parameters.as_of(minutes(9)).expires_at == renewed.expires_at


def test_parameters_history_given_two_publications_then_is_oldest_first(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1", a_row(), a_row(**CELL)), replaces=None, is_full=True)
    record.parameters.publish(a_set("v2", a_row(**CELL, stop_sigma=-4.0), known_at=minutes(5)), replaces="v1", is_full=False)

    frame = record.parameters.history(key=f"{PAIR}|long|5.0-7.5")

    assert frame["stop_sigma"].tolist() == [-1.0, -4.0]
    assert set(frame.columns) >= {"version", "known_at", "computed_at", "state", "trades_count"}


def test_feeder_scores_given_two_publications_then_returns_the_newest_by_rank(record: PlatformRecord) -> None:
    record.feeder_scores.publish([a_score("F01"), a_score("F02", rank=2)])
    newer = [a_score(feeder, rank=rank, version="s2", known_at=minutes(5)) for feeder, rank in (("F01", 2), ("F02", 1))]
    record.feeder_scores.publish(newer)

    assert record.feeder_scores.as_of(minutes(5)) == (newer[1], newer[0])
    assert [score.version for score in record.feeder_scores.as_of(minutes(4))] == ["s1", "s1"]


def test_publish_feeder_scores_given_two_versions_then_refuses(record: PlatformRecord) -> None:
    with pytest.raises(StoreError, match="one version"):
        record.feeder_scores.publish([a_score(), a_score("F02", version="s2")])


def test_regime_given_states_then_returns_the_one_in_force(record: PlatformRecord) -> None:
    states = [a_regime(minutes(number), regime=regime) for number, regime in ((0, Regime.SIDEWAYS), (5, Regime.VOLATILE))]

    assert record.regimes.publish(states) == 1
    assert record.regimes.publish([replace(states[0], regime=Regime.BULL_TRENDING)]) == 1
    assert (record.regimes.as_of(minutes(4)), record.regimes.as_of(minutes(5))) == (states[0], states[1])
    frame = record.regimes.frame(start=OPENED, end=minutes(5))
    assert frame["regime"].tolist() == ["sideways"]
    assert frame["p_volatile"].tolist() == [0.3]


def test_recommendation_given_several_then_returns_the_newest_known(record: PlatformRecord) -> None:
    first, second = a_recommendation(), a_recommendation("m2", known_at=minutes(5))

    assert [record.recommendations.publish(one) for one in (first, first, second)] == [1, 1, 2]
    assert (record.recommendations.as_of(minutes(4)), record.recommendations.as_of(minutes(5))) == (first, second)


@pytest.mark.parametrize("ask", ["parameters", "feeder_scores", "regimes", "recommendations"])
def test_learning_given_nothing_published_then_says_so(record: PlatformRecord, ask: str) -> None:
    with pytest.raises(LearningError, match="bot3 learn run"):
        getattr(record, ask).as_of(OPENED)


def test_learning_token_given_each_publication_then_differs_and_else_not(record: PlatformRecord) -> None:
    tokens = [record.learning_token()]
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    tokens.append(record.learning_token())
    record.feeder_scores.publish([a_score()])
    tokens.append(record.learning_token())
    record.regimes.publish([a_regime()])
    tokens.append(record.learning_token())
    record.recommendations.publish(a_recommendation())
    tokens.append(record.learning_token())
    assert len(set(tokens)) == 5

    record.models.register(a_model())

    assert record.learning_token() == tokens[-1]


def test_model_given_two_then_returns_the_newest_known(record: PlatformRecord) -> None:
    first, second = a_model(), a_model("d2", known_at=minutes(5))
    for entry in (first, second, first):
        record.models.register(entry)

    assert (record.models.newest("F01", as_of=minutes(4)), record.models.newest("F01", as_of=minutes(5))) == (first, second)
    assert record.models.frame()["digest"].tolist() == ["d2", "d1"]
    assert record.revision() == 2
    with pytest.raises(LearningError, match="no model of F02"):
        record.models.newest("F02", as_of=minutes(9))
