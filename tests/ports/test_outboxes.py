"""One suite for the `Outbox` of the record, on each kind of database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot3.adapters.sql.engine import Database, sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import StoreConflictError
from bot3.ports.publisher import Head, Origin, OutboxSpan, Pending, PublicationKind
from bot3.trading.trades import RunMode
from tests.adapters.test_older_recommendations import upgrade_to
from tests.conftest import NewStore
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_recommendation, a_regime, a_row, a_score, a_set

PAPER = (RunMode.PAPER,)


@pytest.fixture
def url(new_store: NewStore) -> str:
    return new_store()


@pytest.fixture
def record(url: str) -> Iterator[SqlRecord]:
    record = SqlRecord.open(url)
    yield record
    record.close()


def waiting(record: SqlRecord) -> Pending:
    span = record.outbox.span()
    assert span is not None
    return record.outbox.pending(span, run_modes=PAPER)


def test_span_given_nothing_written_then_is_none(record: SqlRecord) -> None:
    assert record.outbox.span() is None


def test_pending_given_one_of_each_publication_then_holds_them_as_published(record: SqlRecord) -> None:
    published = a_set("v1", a_row(), a_row(leverage_bin="2.0-3.5"))
    record.parameters.publish(published, replaces=None, is_full=True)
    record.feeder_scores.publish([a_score()])
    record.regimes.publish([a_regime()])
    record.recommendations.publish(a_recommendation())

    pending = waiting(record)

    assert pending.span == OutboxSpan(since=0, until=4, writes=4)
    assert [(one.parameters, one.is_full, one.full_known_at) for one in pending.parameters] == [(published, True, OPENED)]
    assert [one.scores for one in pending.scores] == [(a_score(),)]
    assert pending.regimes == (a_regime(),)
    assert [one.recommendation for one in pending.recommendations] == [a_recommendation()]


@pytest.mark.parametrize(
    ("noun", "change"),
    [
        (PublicationKind.PARAMETERS, "UPDATE parameter_rows SET stop_loss = 0.0"),
        (PublicationKind.FEEDER_SCORES, "UPDATE feeder_scores SET tier = 'all in'"),
        (PublicationKind.FEEDER_SCORES, "UPDATE feeder_publications SET known_at_us = 9000000000000000000"),
        (PublicationKind.FEEDER_SCORES, "DELETE FROM feeder_scores"),
        (PublicationKind.REGIME, "UPDATE regime_states SET regime = 'calm'"),
        (PublicationKind.RECOMMENDATION, "UPDATE recommendations SET leverage_high = 20.0"),
    ],
)
def test_pending_given_a_publication_that_breaks_a_bound_then_leaves_it_out_and_holds_all_others(
    record: SqlRecord, url: str, noun: PublicationKind, change: str
) -> None:
    record.parameters.publish(a_set("v1", a_row()), replaces=None, is_full=True)
    record.feeder_scores.publish([a_score()])
    record.regimes.publish([a_regime()])
    record.recommendations.publish(a_recommendation())
    record.trades.upsert([a_closed_trade(1)])
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(change))

    with capture_logs() as logs:
        pending = waiting(record)

    counts = (len(pending.parameters), len(pending.scores), len(pending.regimes), len(pending.recommendations), len(pending.trades))
    assert counts == tuple(0 if place is noun else 1 for place in (*PublicationKind, None))
    assert [(entry["event"], entry["noun"]) for entry in logs] == [("publication_refused", noun.value)]


def test_pending_given_an_increment_then_names_the_full_publication_it_stands_on(record: SqlRecord) -> None:
    record.parameters.publish(a_set("v1", a_row()), replaces=None, is_full=True)
    record.parameters.publish(a_set("v2", a_row(), known_at=minutes(5)), replaces="v1", is_full=False)

    assert [(one.is_full, one.full_known_at) for one in waiting(record).parameters] == [(True, OPENED), (False, OPENED)]


def test_span_given_a_refused_publication_then_holds_no_entry_of_it(record: SqlRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True)

    with pytest.raises(StoreConflictError):
        record.parameters.publish(a_set("v2"), replaces="v0", is_full=True)

    assert record.outbox.span() == OutboxSpan(since=0, until=1, writes=1)


def test_entry_given_a_write_that_is_rolled_back_then_is_rolled_back_with_it(record: SqlRecord, url: str) -> None:
    database = Database.open(url, kind="platform")

    with database.write() as connection:
        connection.execute(sa.text("UPDATE record_meta SET revision = revision + 1"))
        entries = connection.execute(sa.text("SELECT count(*) FROM outbox")).scalar_one()
        connection.rollback()

    assert (entries, record.outbox.span()) == (1, None)
    database.close()


def test_confirm_given_writes_since_then_keeps_them(record: SqlRecord) -> None:
    record.regimes.publish([a_regime()])
    span = record.outbox.span()
    assert span is not None
    record.regimes.publish([a_regime(minutes(5))])

    record.outbox.confirm(span)

    assert record.outbox.span() == OutboxSpan(since=1, until=2, writes=1)
    assert waiting(record).regimes == (a_regime(minutes(5)),)


def test_pending_given_trades_then_holds_those_of_the_run_modes_with_their_digests(record: SqlRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2, run_mode=RunMode.BACKTEST)])

    trades = waiting(record).trades

    assert trades["trade_id"].tolist() == [1]
    assert trades["digest"].str.len().tolist() == [24]


def test_pending_given_a_trade_that_moved_then_says_where_it_stood(record: SqlRecord) -> None:
    record.trades.upsert([a_closed_trade(1)])
    record.trades.upsert([a_closed_trade(1, close_date=minutes(90))])

    pending = waiting(record)

    assert pending.gone["close_date"].tolist() == [minutes(60)]
    assert pending.trades["close_date"].tolist() == [minutes(90)]


def test_pending_given_a_trade_that_lost_a_value_then_says_where_it_stood(record: SqlRecord) -> None:
    record.trades.upsert([a_closed_trade(1)])
    record.trades.upsert([a_closed_trade(1, exit_reason=None)])

    assert waiting(record).gone["trade_id"].tolist() == [1]


def test_pending_given_a_trade_that_changed_in_place_then_nothing_is_gone(record: SqlRecord) -> None:
    record.trades.upsert([a_closed_trade(1)])
    record.trades.upsert([a_closed_trade(1, close_rate=102.0)])

    pending = waiting(record)

    assert pending.gone.empty
    assert pending.trades["close_rate"].tolist() == [102.0]


def test_pending_given_a_tombstone_then_it_is_gone_and_not_written(record: SqlRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2)])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, OPENED)])

    pending = waiting(record)

    assert pending.gone["trade_id"].tolist() == [1]
    assert pending.trades["trade_id"].tolist() == [2]


def test_pending_given_a_removed_trade_whose_id_another_trade_has_too_then_the_other_one_is_written_again(record: SqlRecord) -> None:
    first = a_closed_trade(1)
    second = replace(first, open_date=first.open_date - timedelta(minutes=1))
    record.trades.upsert([first, second, a_closed_trade(2)])
    record.outbox.confirm(waiting(record).span)
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, first.open_date)])

    pending = waiting(record)

    assert pending.gone["trade_id"].tolist() == [1]
    assert [(row.trade_id, row.open_date) for row in pending.trades.itertuples()] == [(1, second.open_date)]


def test_requeue_given_confirmed_writes_then_they_wait_again(record: SqlRecord) -> None:
    record.regimes.publish([a_regime()])
    record.regimes.publish([a_regime(minutes(5))])
    span = record.outbox.span()
    assert span is not None
    record.outbox.confirm(span)

    record.outbox.requeue(since=1)

    assert record.outbox.span() == OutboxSpan(since=1, until=2, writes=1)
    assert waiting(record).regimes == (a_regime(minutes(5)),)


def test_confirm_given_earlier_writes_were_queued_again_meanwhile_then_they_remain_pending(record: SqlRecord) -> None:
    record.regimes.publish([a_regime()])
    record.outbox.confirm(waiting(record).span)
    record.regimes.publish([a_regime(minutes(5))])
    published = waiting(record).span

    record.outbox.requeue()
    record.outbox.confirm(published)

    assert record.outbox.span() == OutboxSpan(since=0, until=2, writes=1)
    assert waiting(record).regimes == (a_regime(), a_regime(minutes(5)))


def test_fold_given_many_writes_then_one_entry_holds_them_all(record: SqlRecord) -> None:
    for number in range(4):
        record.regimes.publish([a_regime(minutes(number))])

    record.outbox.fold()

    assert record.outbox.span() == OutboxSpan(since=0, until=4, writes=1)
    assert len(waiting(record).regimes) == 4


def test_outbox_given_thousands_of_writes_that_nobody_publishes_then_is_folded_by_itself(record: SqlRecord, url: str) -> None:
    database = Database.open(url, kind="platform")
    for revision in (4_093, 4_094, 4_095):
        with database.write() as connection:
            connection.execute(sa.text("UPDATE record_meta SET revision = :revision"), {"revision": revision})
    before = record.outbox.span()
    record.regimes.publish([a_regime()])

    assert before == OutboxSpan(since=0, until=4_095, writes=3)
    assert record.outbox.span() == OutboxSpan(since=0, until=4_096, writes=1)
    assert waiting(record).regimes == (a_regime(),)
    database.close()


def test_open_given_a_store_of_before_there_was_an_outbox_then_all_that_it_holds_waits(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "old.sqlite")
    record = SqlRecord.open(url)
    record.regimes.publish([a_regime()])
    record.trades.upsert([a_closed_trade(1)])
    record.close()
    _taken_back(tmp_path / "old.sqlite", "platform_0002")

    upgraded = SqlRecord.open(url)

    assert upgraded.outbox.span() == OutboxSpan(since=0, until=2, writes=1)
    assert (len(waiting(upgraded).regimes), len(waiting(upgraded).trades)) == (1, 1)
    upgraded.regimes.publish([a_regime(minutes(5))])
    assert upgraded.outbox.span() == OutboxSpan(since=0, until=3, writes=2)
    upgraded.close()


def test_open_given_a_record_of_before_there_were_epochs_then_has_the_first_one_and_what_waits_goes_on_waiting(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "old.sqlite")
    record = SqlRecord.open(url)
    record.trades.upsert([a_closed_trade(1)])
    identity = record.store_id
    record.close()
    _taken_back(tmp_path / "old.sqlite", "platform_0004")

    upgraded = SqlRecord.open(url)

    assert upgraded.origin() == Origin(store_id=identity, epoch="")
    waits = upgraded.outbox.waiting_since()
    upgraded.regimes.publish([a_regime()])
    assert upgraded.outbox.span() == OutboxSpan(since=0, until=2, writes=2)
    assert waits is not None
    assert upgraded.outbox.waiting_since() == waits
    upgraded.begin_epoch()
    assert upgraded.origin().epoch != ""
    upgraded.close()


def test_origin_given_a_new_epoch_then_it_is_another_and_the_record_the_same(record: SqlRecord) -> None:
    before = record.origin()

    record.begin_epoch()

    assert (record.origin().store_id, before.store_id) == (record.store_id, record.store_id)
    assert len({"", before.epoch, record.origin().epoch}) == 3


def test_waiting_since_given_writes_then_is_when_the_oldest_was_made(record: SqlRecord) -> None:
    began, nothing = datetime.now(UTC), record.outbox.waiting_since()
    record.regimes.publish([a_regime()])
    first = record.outbox.waiting_since()
    record.regimes.publish([a_regime(minutes(5))])
    later = record.outbox.waiting_since()
    record.outbox.requeue()

    assert nothing is None
    assert first is not None
    assert abs(first - began) < timedelta(minutes=1)
    assert (later, record.outbox.waiting_since()) == (first, first)
    span = record.outbox.span()
    assert span is not None
    record.outbox.confirm(span)
    assert record.outbox.waiting_since() is None


def test_heads_given_publications_then_names_each_with_its_rows(record: SqlRecord) -> None:
    record.parameters.publish(a_set("v1", a_row(), a_row(leverage_bin="2.0-3.5")), replaces=None, is_full=True)
    record.regimes.publish([a_regime()])

    assert record.outbox.heads() == {
        Head(origin=record.origin(), noun=PublicationKind.PARAMETERS, known_at=OPENED, seq=1, version="v1", rows=2),
        Head(origin=record.origin(), noun=PublicationKind.REGIME, known_at=OPENED, seq=0, version="r1", rows=1),
    }


@given(steps=st.lists(st.sampled_from(["write", "publish", "fold"]), max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_outbox_given_any_order_of_steps_then_every_write_is_handed_out_after_it(new_store: NewStore, steps: list[str]) -> None:
    record, told, written = SqlRecord.open(new_store()), set(), set()
    for number, step in enumerate([*steps, "publish"]):
        if step == "write":
            state = replace(a_regime(minutes(number)), version=f"r{number}")
            record.regimes.publish([state])
            written.add(state)
        elif step == "fold":
            record.outbox.fold()
        elif (span := record.outbox.span()) is not None:
            told |= set(record.outbox.pending(span, run_modes=PAPER).regimes)
            record.outbox.confirm(span)

    assert told == written
    assert record.outbox.span() is None
    record.close()


def _taken_back(path: Path, revision: str) -> None:
    """Take a store back to an older schema, with what that can hold, as an older release left it."""
    older = path.with_name("older.sqlite")
    engine = sa.create_engine(sqlite_url(older), poolclass=sa.NullPool)
    with engine.begin() as connection:
        upgrade_to(connection, revision)
    with closing(sqlite3.connect(older)) as connection, connection:
        connection.execute("ATTACH ? AS newer", [str(path)])
        tables = [
            name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'alembic%'")
        ]
        for table in tables:
            both = [{row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")} for schema in ("main", "newer")]
            names = ", ".join(sorted(both[0] & both[1]))
            if not names:
                continue  # newer releases have no such table
            connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")  # noqa: S608  # our own tables
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    older.replace(path)
