"""Outages and kills at every request: the copy is complete or as it was, and ends equal to the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.influx.publisher import InfluxPublisher
from bot3.adapters.influx.server import InfluxAddress, InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import StoreBusyError
from bot3.trading.trades import RunMode
from bot3.usecases.publishing.check import check_published
from bot3.usecases.publishing.publish import publish_learning
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_regime, a_row, a_set
from tests.published import BOTS, Copy, wall_now
from tests.servers.cut_proxy import CutProxy
from tests.servers.influx import InfluxProgram

pytestmark = pytest.mark.influx

BINS = ("*", "1.0-2.0", "2.0-3.5")


class FailingServer(InfluxServer):
    """A connection that breaks before its request number `fails_at`, or after the server has done what was asked."""

    def __init__(self, address: InfluxAddress) -> None:
        super().__init__(address)
        self.fails_at: int | None = None
        self.is_late = False
        self._requests = 0

    def break_at(self, number: int | None, *, is_late: bool = False) -> None:
        self.fails_at, self.is_late, self._requests = number, is_late, 0

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        self._counted(early=True)
        super().write(bucket, lines)
        self._counted(early=False)

    def delete(self, bucket: str, *, measurement: str, tags: Mapping[str, str], at_ns: int) -> None:
        self._counted(early=True)
        super().delete(bucket, measurement=measurement, tags=tags, at_ns=at_ns)
        self._counted(early=False)

    def _counted(self, *, early: bool) -> None:
        self._requests += early
        if self._requests == self.fails_at and self.is_late != early:
            raise StoreBusyError("the connection broke")


@pytest.fixture
def copy(influx: InfluxProgram, tmp_path: Path) -> Iterator[Copy]:
    copy = failing(influx, tmp_path)
    yield copy
    copy.close()


def failing(influx: InfluxProgram, directory: Path) -> Copy:
    """Return a copy whose publisher's connection can break; its reader's does not."""
    copy = Copy.on(influx, directory)
    server = FailingServer(influx.address())
    publisher = InfluxPublisher(server, buckets=copy.buckets, letters=copy.letters, wall_now=wall_now)
    publisher.prepare(bots=BOTS)
    return replace(copy, server=server, publisher=publisher)


def server_of(copy: Copy) -> FailingServer:
    assert isinstance(copy.server, FailingServer)
    return copy.server


def full_set(record: SqlRecord, version: str, *, minute: float, replaces: str | None) -> None:
    rows = [a_row(leverage_bin=name) for name in BINS]
    record.parameters.publish(a_set(version, *rows, known_at=minutes(minute)), replaces=replaces, is_full=True)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_parameters_given_an_outage_at_any_request_then_are_the_old_or_the_new_ones_whole(
    copy: Copy, tmp_path: Path, request_number: int, is_late: bool
) -> None:
    record = copy.source.record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    full_set(record, "v1", minute=0, replaces=None)
    publish_learning(record.outbox, copy.publisher)
    old = record.parameters.as_of(minutes(9))
    full_set(record, "v2", minute=5, replaces="v1")
    record.trades.upsert([a_closed_trade(1)])
    server_of(copy).break_at(request_number, is_late=is_late)

    with pytest.raises(StoreBusyError):
        publish_learning(record.outbox, copy.publisher)

    assert copy.reader.parameters.as_of(minutes(9)) in (old, record.parameters.as_of(minutes(9)))
    server_of(copy).break_at(None)
    publish_learning(record.outbox, copy.publisher)
    assert check_published(record, copy.reader, bots=BOTS, now=minutes(90)).is_equal
    record.close()


def test_connections_given_one_that_was_lost_then_are_one_more_and_otherwise_as_many(influx: InfluxProgram) -> None:
    with CutProxy(int(influx.url.rpartition(":")[2])) as proxy:
        server = InfluxServer(replace(influx.address(), url=proxy.url))
        first, second = server.connections(), server.connections()
        proxy.cut()
        proxy.mend()

        third = server.connections()
        server.close()

        assert (second - first, third - first, server.connections() - first) == (0, 1, 2)


steps = st.tuples(
    st.sampled_from(["write", "delete", "reuse", "learn", "full", "publish", "break", "break late"]), st.integers(1, 3), st.integers(0, 2)
)


@given(taken=st.lists(steps, max_size=14))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_copy_given_any_order_of_changes_outages_and_kills_then_ends_equal_to_the_record(
    influx: InfluxProgram, tmp_path: Path, taken: list[tuple[str, int, int]]
) -> None:
    copy = failing(influx, tmp_path)
    record = copy.source.record = SqlRecord.open(sqlite_url(tmp_path / f"{copy.buckets.learning}.sqlite"))
    for number, (step, trade_id, change) in enumerate(taken):
        take(record, copy, step, trade_id=trade_id, change=change, number=number)

    server_of(copy).break_at(None)
    publish_learning(record.outbox, copy.publisher)

    assert check_published(record, copy.reader, bots=BOTS, now=minutes(900)).is_equal
    record.close()
    copy.close()


def take(record: SqlRecord, copy: Copy, step: str, *, trade_id: int, change: int, number: int) -> None:
    if step in {"write", "reuse"}:
        opened = OPENED if step == "write" else minutes(-60)
        closed, reason = opened + timedelta(minutes=50 + change), None if change == 2 else "roi"
        record.trades.upsert([a_closed_trade(trade_id, open_date=opened, close_date=closed, exit_reason=reason)])
    elif step == "delete":
        record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(trade_id, OPENED)])
    elif step in {"learn", "full"}:
        learn(record, is_full=step == "full", bins=BINS[: change + 1], number=number)
    else:
        server_of(copy).break_at(None if step == "publish" else trade_id, is_late=step == "break late")
        try:
            publish_learning(record.outbox, copy.publisher)
        except StoreBusyError:
            assert step != "publish"


def learn(record: SqlRecord, *, is_full: bool, bins: Sequence[str], number: int) -> None:
    span = record.outbox.heads()
    newest = max((head for head in span if head.noun == "parameters"), key=lambda head: (head.known_at, head.seq), default=None)
    # Some publications share an instant, as they do while the market's time stands still.
    known_at = minutes(number // 3)
    rows = [a_row(leverage_bin=name, stop_sigma=-0.2 * (number % 20 + 1)) for name in bins]
    published = a_set(f"v{number}", *rows, known_at=known_at)
    record.parameters.publish(published, replaces=None if newest is None else newest.version, is_full=is_full or newest is None)
    record.regimes.publish([a_regime(known_at)])
