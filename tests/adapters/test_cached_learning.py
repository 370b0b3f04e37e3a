"""A daemon that reads InfluxDB never waits for it, and keeps its last good copy until that expires by its own word."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from structlog.testing import capture_logs

from bot3.adapters.cached_learning import FollowedLearning
from bot3.adapters.influx.learning import InfluxLearning
from bot3.adapters.influx.server import InfluxAddress, InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import LearningError, StoreBusyError, StoreError
from bot3.ports.learning import InForce, LearningReader
from bot3.ports.publisher import Origin
from bot3.usecases.publishing.publish import publish_learning
from execution.learning_watch import LearningWatch
from tests.clocks import MovableClock
from tests.journals import OPENED, minutes
from tests.learned import a_recommendation, a_regime, a_score, a_set
from tests.published import BOTS, Copy
from tests.servers.influx import InfluxProgram

LATER = minutes(900)

_Value = TypeVar("_Value")


class FaultyKind(Generic[_Value]):
    """One kind of learning, read from a server that may be down."""

    def __init__(self, read: Callable[[], InForce[_Value]]) -> None:
        self._read = read

    def as_of(self, at: datetime) -> _Value:
        return self._read().as_of(at)


class FaultyReader:
    """A reader that can be told to fail, as a server that is down makes it fail."""

    def __init__(self, reader: LearningReader) -> None:
        self._reader = reader
        self.is_down = False
        self.parameters = FaultyKind(lambda: self._up().parameters)
        self.feeder_scores = FaultyKind(lambda: self._up().feeder_scores)
        self.regimes = FaultyKind(lambda: self._up().regimes)
        self.recommendations = FaultyKind(lambda: self._up().recommendations)

    def learning_token(self) -> str:
        return self._up().learning_token()

    def next_known_at(self, *, after: datetime) -> datetime | None:
        return self._up().next_known_at(after=after)

    def _up(self) -> LearningReader:
        if self.is_down:
            raise StoreBusyError("the server is down")
        return self._reader


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqlRecord]:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    record.feeder_scores.publish([a_score()])
    record.regimes.publish([a_regime()])
    record.recommendations.publish(a_recommendation())
    yield record
    record.close()


@pytest.fixture
def faulty(record: SqlRecord) -> FaultyReader:
    return FaultyReader(record)


@pytest.fixture
def followed(faulty: FaultyReader) -> FollowedLearning:
    return FollowedLearning(faulty, now=lambda: LATER, poll_s=0.01, first_wait_s=0.0)


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield the address of a server that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_followed_given_learning_then_reads_it_as_it_was_published(followed: FollowedLearning, record: SqlRecord) -> None:
    assert followed.look()

    assert followed.parameters.as_of(minutes(1)) == record.parameters.as_of(minutes(1))
    assert followed.feeder_scores.as_of(minutes(1)) == record.feeder_scores.as_of(minutes(1))
    assert followed.regimes.as_of(minutes(1)) == record.regimes.as_of(minutes(1))
    assert followed.recommendations.as_of(minutes(1)) == record.recommendations.as_of(minutes(1))


def test_followed_given_a_new_publication_then_its_token_differs_after_the_next_look(followed: FollowedLearning, record: SqlRecord) -> None:
    followed.look()
    token = followed.learning_token()
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)

    assert followed.learning_token() == token
    followed.look()

    assert followed.learning_token() != token
    assert followed.parameters.as_of(minutes(5)).version == "v2"


def test_followed_given_learning_from_after_the_time_asked_for_then_does_not_show_it(followed: FollowedLearning, record: SqlRecord) -> None:
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)
    followed.look()

    with pytest.raises(LearningError, match="no parameters were published by"):
        followed.parameters.as_of(minutes(4))


def test_followed_given_a_publication_hidden_by_a_later_one_that_waits_too_then_shows_each_when_it_comes_into_force(
    record: SqlRecord,
) -> None:
    clock = MovableClock(minutes(1))
    followed = FollowedLearning(record, now=clock.now, poll_s=0.01, first_wait_s=0.0)
    watch = LearningWatch(followed, clock=clock)
    followed.look()
    watch.look()
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)
    record.parameters.publish(a_set("v3", known_at=minutes(9)), replaces="v2", is_full=True)
    record.recommendations.publish(a_recommendation("m2", known_at=minutes(7)))

    seen = []
    for _ in range(10):
        followed.look()
        watch.look()
        seen.append((watch.versions()["parameters_version"], watch.versions()["recommendation_version"]))
        clock.move(60.0)

    assert seen == [("v1", "m1")] * 4 + [("v2", "m1")] * 2 + [("v2", "m2")] * 2 + [("v3", "m2")] * 2


def test_followed_given_a_publication_that_breaks_a_bound_then_keeps_the_last_good_one_and_says_so_once(
    followed: FollowedLearning, record: SqlRecord
) -> None:
    followed.look()
    with record._database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE parameter_rows SET stop_loss = 0.0")
        connection.exec_driver_sql("UPDATE record_meta SET learning_revision = learning_revision + 1")

    with capture_logs() as logs:
        for _ in range(3):
            assert not followed.look()

    assert followed.parameters.as_of(minutes(1)).version == "v1"
    assert [(entry["event"], entry["noun"]) for entry in logs] == [("learning_refused", "parameters")]


def test_followed_given_a_newest_publication_that_is_not_known_yet_then_holds_the_newest_that_is(record: SqlRecord) -> None:
    clock = MovableClock(minutes(4))
    followed = FollowedLearning(record, now=clock.now, poll_s=0.01, first_wait_s=0.0)
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)

    assert followed.look()
    before = followed.parameters.as_of(minutes(4)).version
    clock.move(60.0)
    assert followed.look()

    assert (before, followed.parameters.as_of(minutes(5)).version) == ("v1", "v2")


def test_followed_given_nothing_read_yet_then_says_so_at_once(followed: FollowedLearning, faulty: FaultyReader) -> None:
    faulty.is_down = True
    assert not followed.look()

    with pytest.raises(StoreBusyError, match="could not be read yet"):
        followed.learning_token()


def test_followed_given_a_noun_that_is_missing_then_looks_for_it_without_a_new_token(tmp_path: Path) -> None:
    record = SqlRecord.open(sqlite_url(tmp_path / "young.sqlite"))
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)
    followed = FollowedLearning(record, now=lambda: LATER, poll_s=0.01, first_wait_s=0.0)

    assert not followed.look()

    assert followed.parameters.as_of(OPENED).version == "v1"
    with pytest.raises(LearningError):
        followed.regimes.as_of(OPENED)
    record.close()


def test_watch_given_a_server_that_is_down_then_keeps_the_last_good_copy_until_it_expires(
    followed: FollowedLearning, faulty: FaultyReader
) -> None:
    clock = MovableClock(minutes(1))
    watch = LearningWatch(followed, clock=clock)
    followed.look()
    watch.look()
    faulty.is_down = True

    followed.look()
    watch.look()

    kept = watch.learning.parameters
    assert kept is not None
    kept.require_fresh(now=minutes(2))
    with pytest.raises(LearningError, match="expired"):
        kept.require_fresh(now=kept.expires_at)


def test_watch_given_a_server_that_came_back_then_reads_what_was_published_meanwhile(
    followed: FollowedLearning, faulty: FaultyReader, record: SqlRecord
) -> None:
    watch = LearningWatch(followed, clock=MovableClock(minutes(9)))
    followed.look()
    watch.look()
    faulty.is_down = True
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)
    followed.look()
    watch.look()
    before = watch.versions()["parameters_version"]
    faulty.is_down = False

    followed.look()
    watch.look()

    assert (before, watch.versions()["parameters_version"]) == ("v1", "v2")


def test_watch_given_a_server_that_never_answers_then_no_look_waits_for_it() -> None:
    with black_hole() as url:
        address = InfluxAddress(url=url, org="o", token="t", timeout=timedelta(seconds=30))
        server = InfluxServer(address, retries=0)
        followed = FollowedLearning(
            InfluxLearning(server, bucket="b", origin=lambda: Origin(store_id="s", epoch="e")),
            now=lambda: LATER,
            poll_s=0.01,
            first_wait_s=0.05,
        ).start()
        watch = LearningWatch(followed, clock=MovableClock(OPENED))
        began = time.monotonic()

        with pytest.raises(StoreBusyError, match="could not be read yet"):
            watch.look()

        assert time.monotonic() - began < 5.0
    followed.close()
    server.close()


def test_followed_given_that_nobody_follows_any_more_then_says_so(faulty: FaultyReader) -> None:
    followed = FollowedLearning(faulty, now=lambda: LATER, poll_s=0.01, first_wait_s=5.0).start()
    token = followed.learning_token()
    followed.close()

    with pytest.raises(StoreError, match="has ended: restart this process"):
        followed.learning_token()
    assert token


@pytest.mark.influx
def test_watch_given_an_influxdb_that_stops_and_starts_then_goes_on_with_what_it_has(tmp_path: Path, record: SqlRecord) -> None:
    with InfluxProgram() as program:
        if not program.is_ours:
            pytest.skip("the server that TEST_INFLUX_URL names is not ours to stop")
        copy = Copy.on(program, tmp_path, record=record)
        copy.publisher.prepare(bots=BOTS)
        publish_learning(record.outbox, copy.publisher)
        followed = FollowedLearning(copy.reader, now=lambda: LATER, poll_s=0.01, first_wait_s=0.0)
        watch = LearningWatch(followed, clock=MovableClock(minutes(9)))
        followed.look()
        watch.look()
        program.stop()

        assert not followed.look()
        watch.look()
        while_down = watch.versions()
        program.start()
        record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)
        publish_learning(record.outbox, copy.publisher)
        followed.look()
        watch.look()

        assert (while_down["parameters_version"], watch.versions()["parameters_version"]) == ("v1", "v2")
        copy.close()
