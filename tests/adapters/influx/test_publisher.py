"""The copy in a real InfluxDB: the same however often it is written, complete or invisible, and equal to the record."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.cached_learning import FollowedLearning
from bot3.adapters.influx.learning import InfluxLearning
from bot3.adapters.influx.points import parameter_points
from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import InvalidLearningError, LearningError, StoreBusyError, StoreError
from bot3.ports.publisher import OutboxSpan
from bot3.trading.trades import RunMode
from bot3.usecases.publishing.check import PublishedCheck, check_published
from bot3.usecases.publishing.publish import publish_everything, publish_learning, replay_dead_letters
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_recommendation, a_regime, a_row, a_score, a_set
from tests.published import BOTS, Copy
from tests.servers.influx import InfluxProgram

pytestmark = pytest.mark.influx

PAPER = (RunMode.PAPER,)


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


def published(record: SqlRecord, version: str = "v1", *, minute: float = 0.0, replaces: str | None = None) -> None:
    # One row as older releases wrote it, without the closes that its evidence lacks.
    counts = {"left_out_count": 2, "late_count": 1, "is_censored": True}
    rows = [a_row(), *(a_row(leverage_bin=name, **counts) for name in ("1.0-2.0", "2.0-3.5"))]
    record.parameters.publish(a_set(version, *rows, known_at=minutes(minute)), replaces=replaces, is_full=True)


def everything(record: SqlRecord) -> None:
    published(record)
    record.feeder_scores.publish([a_score(), a_score("F02", rank=2)])
    record.regimes.publish([a_regime(), a_regime(minutes(60))])
    record.recommendations.publish(a_recommendation())
    record.trades.upsert([a_closed_trade(number, bot=bot) for bot in BOTS for number in (1, 2)])


def compared(record: SqlRecord, copy: Copy) -> PublishedCheck:
    return check_published(record, copy.reader, bots=BOTS, now=minutes(90))


def points(copy: Copy, bucket: str, measurement: str) -> list[tuple[str, ...]]:
    flux = "from(bucket: bucket) |> range(start: 0, stop: 2100-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == m)"
    rows = copy.server.rows(flux, bucket=bucket, m=measurement)
    return sorted((row["_time"], row["_field"], row["_value"]) for row in rows)


def test_publish_given_one_of_everything_then_the_copy_is_equal(record: SqlRecord, copy: Copy) -> None:
    everything(record)

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.writes, report.refused, record.outbox.span()) == (5, 0, None)
    found = compared(record, copy)
    assert found.is_equal
    assert {bot: trades.published for bot, trades in found.trades.items()} == {"BOT1": 2, "BOT2": 2, "BOT3": 2}


def test_publish_given_parameters_of_several_horizons_then_the_copy_is_equal(record: SqlRecord, copy: Copy) -> None:
    rows = (a_row(), a_row(leverage_bin="2.0-3.5"), a_row(leverage_bin="*@7d"), a_row(leverage_bin="2.0-3.5@8h"))
    record.parameters.publish(a_set("v1", *rows), replaces=None, is_full=True)

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.refused, compared(record, copy).is_equal) == (0, True)


def test_health_given_a_field_of_another_type_then_names_it_and_what_mends_it(record: SqlRecord, copy: Copy) -> None:
    copy.server.write(copy.buckets.learning, ["adaptive_params,leverage_bin=2.0-3.5 stop_loss=-1i,ours=1i 1600000000000000000"])
    everything(record)
    publish_learning(record.outbox, copy.publisher)

    (found,) = copy.reader.health(bots=BOTS)

    assert f"bucket {copy.buckets.learning}, measurement adaptive_params: field stop_loss is float and integer, written as float" in found
    assert "`bot3 publish run --all`" in found
    assert "ours" not in found


def test_health_given_all_that_is_published_then_finds_nothing(record: SqlRecord, copy: Copy) -> None:
    everything(record)
    publish_learning(record.outbox, copy.publisher)

    assert copy.reader.health(bots=BOTS) == ()


def test_publish_given_the_same_twice_then_the_points_are_the_same(record: SqlRecord, copy: Copy) -> None:
    everything(record)
    publish_learning(record.outbox, copy.publisher)
    buckets = [(copy.buckets.learning, "adaptive_params_by_pair"), (copy.buckets.learning, "publications")]
    places = [*buckets, (copy.buckets.of_bot("BOT3"), "trades")]
    before = [points(copy, *place) for place in places]

    publish_everything(record.outbox, copy.publisher, bots=BOTS)

    assert [points(copy, *place) for place in places] == before
    assert all(before)


def test_publish_given_parameters_then_older_readers_find_the_fields_they_know(record: SqlRecord, copy: Copy) -> None:
    published(record)
    publish_learning(record.outbox, copy.publisher)

    flux = 'from(bucket: bucket) |> range(start: 0) |> filter(fn: (r) => r._measurement == "adaptive_params")'
    rows = list(copy.server.rows(flux, bucket=copy.buckets.learning))

    tags = set(rows[0]) - {"", "result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement"}
    assert tags == {"leverage_bin"}
    assert {row["leverage_bin"] for row in rows} == {"1.0-2.0", "2.0-3.5"}
    fields = {row["_field"]: row["_value"] for row in rows}
    # Its profit factor is unknown, and so it is not there.
    assert {"stop_loss", "take_profit_target", "trades_count", "win_rate", "avg_profit"} <= set(fields)
    assert (fields["stop_loss"], fields["trades_count"], "profit_factor" in fields) == ("-0.05", "12", False)


def test_publish_given_parameters_of_this_hour_then_the_query_that_operators_type_finds_them(record: SqlRecord, copy: Copy) -> None:
    row = a_row(leverage_bin="2.0-3.5")
    record.parameters.publish(a_set("v1", row, known_at=datetime.now(UTC) - timedelta(minutes=5)), replaces=None, is_full=True)
    publish_learning(record.outbox, copy.publisher)

    typed = 'from(bucket:"bot3_learning") |> range(start: -1h) |> filter(fn: (r) => r._measurement == "adaptive_params")'
    rows = list(copy.server.rows(typed.replace("bot3_learning", copy.buckets.learning)))

    assert {row["_field"]: row["_value"] for row in rows}["take_profit_target"] == "0.06"


def test_publish_given_trades_of_one_instant_then_each_has_its_own_point(record: SqlRecord, copy: Copy) -> None:
    record.trades.upsert([a_closed_trade(number) for number in range(1, 6)])

    publish_learning(record.outbox, copy.publisher)

    assert copy.reader.trade_digests("BOT1")["trade_id"].tolist() == [1, 2, 3, 4, 5]


def test_publish_given_backtest_history_then_it_is_not_mixed_with_what_the_bot_did(record: SqlRecord, copy: Copy) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2, run_mode=RunMode.BACKTEST)])

    publish_learning(record.outbox, copy.publisher)

    assert copy.reader.trade_digests("BOT1")["trade_id"].tolist() == [1]
    assert compared(record, copy).is_equal


def test_publish_given_a_trade_that_moved_lost_a_value_or_was_deleted_then_the_old_point_is_gone(record: SqlRecord, copy: Copy) -> None:
    record.trades.upsert([a_closed_trade(number) for number in (1, 2, 3, 4)])
    publish_learning(record.outbox, copy.publisher)
    record.trades.upsert([a_closed_trade(1, close_date=minutes(90)), a_closed_trade(2, exit_reason=None)])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(3, OPENED)])

    report = publish_learning(record.outbox, copy.publisher)

    assert report.deleted == 3
    assert sorted(copy.reader.trade_digests("BOT1")["trade_id"]) == [1, 2, 4]
    assert compared(record, copy).is_equal
    reasons = [value for at, name, value in points(copy, copy.buckets.of_bot("BOT1"), "trades") if name == "exit_reason"]
    assert len(reasons) == 2


def test_parameters_given_rows_without_their_head_then_are_invisible(record: SqlRecord, copy: Copy) -> None:
    published(record)
    publish_learning(record.outbox, copy.publisher)
    published(record, "v2", minute=5.0, replaces="v1")
    span = record.outbox.span()
    assert span is not None
    second = parameter_points(record.outbox.pending(span, run_modes=PAPER).parameters[0], record.origin())

    copy.server.write(copy.buckets.learning, second.rows)
    before = copy.reader.parameters.as_of(minutes(9)).version
    copy.server.write(copy.buckets.learning, [second.head])

    assert (before, copy.reader.parameters.as_of(minutes(9)).version) == ("v1", "v2")


def test_parameters_given_rows_that_were_deleted_by_hand_then_refuses(record: SqlRecord, copy: Copy) -> None:
    published(record)
    publish_learning(record.outbox, copy.publisher)
    at_ns = parameter_points(record.outbox.pending(_all_of(record), run_modes=PAPER).parameters[0], record.origin()).at_ns
    tags = {"pair": "*", "direction": "*", "leverage_bin": "2.0-3.5"}
    copy.server.delete(copy.buckets.learning, measurement="adaptive_params_by_pair", tags=tags, at_ns=at_ns)

    with pytest.raises(LearningError, match=r"incomplete in InfluxDB \(2 of 3 rows\)"):
        copy.reader.parameters.as_of(minutes(9))
    assert compared(record, copy).differing == ("parameters",)
    publish_everything(record.outbox, copy.publisher, bots=BOTS)
    assert compared(record, copy).is_equal


@pytest.mark.parametrize("second_minute", [5.0, -5.0])
def test_parameters_given_a_reader_that_remembers_then_reads_what_one_that_does_not_reads(
    record: SqlRecord, copy: Copy, second_minute: float
) -> None:
    published(record)
    publish_learning(record.outbox, copy.publisher)
    remembering = InfluxLearning(copy.server, bucket=copy.buckets.learning, origin=record.origin, remembers=True)
    remembering.parameters.as_of(minutes(9))
    row = a_row(leverage_bin="1.0-2.0", stop_sigma=-4.0)
    record.parameters.publish(a_set("v2", row, known_at=minutes(second_minute)), replaces="v1", is_full=False)
    publish_learning(record.outbox, copy.publisher)

    for at in (minutes(9), minutes(second_minute), minutes(9)):
        if at >= OPENED:
            assert remembering.parameters.as_of(at) == record.parameters.as_of(at)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("stop_loss=0.5", "stop_loss must be a number from -1 to -0.0001, was 0.5"),
        ('state="maybe"', "state must be one of probe, shadow, trade, was maybe"),
        ('known_at="yesterday"', "cannot be read"),
    ],
)
def test_parameters_given_a_row_that_somebody_else_changed_then_refuses(record: SqlRecord, copy: Copy, change: str, said: str) -> None:
    published(record)
    publish_learning(record.outbox, copy.publisher)
    at_ns = parameter_points(record.outbox.pending(_all_of(record), run_modes=PAPER).parameters[0], record.origin()).at_ns

    copy.server.write(copy.buckets.learning, [f"adaptive_params_by_pair,direction=*,leverage_bin=*,pair=* {change} {at_ns}"])

    with pytest.raises(InvalidLearningError, match=said):
        copy.reader.parameters.as_of(minutes(9))
    assert compared(record, copy).differing == ("parameters",)


def test_check_given_a_copy_that_lost_and_gained_trades_then_names_them(record: SqlRecord, copy: Copy) -> None:
    record.trades.upsert([a_closed_trade(number) for number in (1, 2, 3)])
    publish_learning(record.outbox, copy.publisher)
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(2, OPENED)])
    record.trades.upsert([a_closed_trade(3, close_rate=105.0), a_closed_trade(4)])

    found = compared(record, copy)

    trades = found.trades["BOT1"]
    assert (trades.missing, trades.extra, trades.changed, found.waiting, found.is_equal) == ((4,), (2,), (3,), 2, False)


def test_publish_given_a_type_conflict_then_keeps_dead_letters_and_no_head_and_replays_them(record: SqlRecord, copy: Copy) -> None:
    # Somebody else wrote an int where a float belongs, on the same day.
    copy.server.write(copy.buckets.learning, ["adaptive_params_by_pair,pair=x stop_loss=1i 1767614400000000000"])
    published(record)

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.refused > 0, record.outbox.span(), len(copy.letters.read())) == (True, None, 1)
    assert "conflict" in copy.letters.read()[0].reason
    with pytest.raises(LearningError):
        copy.reader.parameters.as_of(minutes(9))
    still = replay_dead_letters(record.outbox, copy.publisher)
    assert (still.written, still.still_refused) == (0, report.refused)

    _mend(copy)
    healed = replay_dead_letters(record.outbox, copy.publisher)

    assert (healed.written, healed.still_refused, copy.letters.read()) == (report.refused, 0, ())
    assert compared(record, copy).is_equal


def test_replay_given_a_newer_value_since_then_the_newer_stays(record: SqlRecord, copy: Copy) -> None:
    bucket = copy.buckets.of_bot("BOT1")
    copy.server.write(bucket, ["trades close_rate=1i 1767614400000000000"])
    record.trades.upsert([a_closed_trade(1, close_rate=100.5)])
    publish_learning(record.outbox, copy.publisher)
    copy.server.delete(bucket, measurement="trades", tags={}, at_ns=1767614400000000000)
    _recreated(copy, bucket)
    record.trades.upsert([a_closed_trade(1, close_rate=102.5)])
    publish_learning(record.outbox, copy.publisher)

    replay_dead_letters(record.outbox, copy.publisher)

    assert [value for _, name, value in points(copy, bucket, "trades") if name == "close_rate"] == ["102.5"]
    assert compared(record, copy).is_equal


def lost_future(record: SqlRecord, copy: Copy, tmp_path: Path) -> SqlRecord:
    """Publish a future that a restore loses; return the record as the restore leaves it, in a new epoch."""
    everything(record)
    publish_learning(record.outbox, copy.publisher)
    with closing(sqlite3.connect(tmp_path / "platform.sqlite")) as source, closing(sqlite3.connect(tmp_path / "restored.sqlite")) as target:
        source.backup(target)
    published(record, "lost", minute=30.0, replaces="v1")
    record.recommendations.publish(a_recommendation("lost", known_at=minutes(30)))
    record.trades.upsert([a_closed_trade(9), a_closed_trade(1, close_rate=150.0)])
    publish_learning(record.outbox, copy.publisher)
    restored = copy.source.record = SqlRecord.open(sqlite_url(tmp_path / "restored.sqlite"))
    restored.begin_epoch()
    return restored


def test_copy_given_a_restored_record_then_nothing_of_the_lost_future_is_read(record: SqlRecord, copy: Copy, tmp_path: Path) -> None:
    restored = lost_future(record, copy, tmp_path)
    followed = FollowedLearning(copy.reader, now=lambda: minutes(60), poll_s=0.01, first_wait_s=0.0)

    followed.look()

    for read in (copy.reader, followed):
        with pytest.raises(LearningError):
            read.parameters.as_of(minutes(60))
        with pytest.raises(LearningError):
            read.recommendations.as_of(minutes(60))
    with pytest.raises(LearningError, match="only by another one or before a restore: run `bot3 publish run --all`"):
        copy.reader.regimes.as_of(minutes(60))
    assert not compared(restored, copy).is_equal
    restored.close()


def test_publish_everything_given_a_restored_record_then_the_copy_is_equal_and_the_newest_known_is_in_force(
    record: SqlRecord, copy: Copy, tmp_path: Path
) -> None:
    restored = lost_future(record, copy, tmp_path)
    followed = FollowedLearning(copy.reader, now=lambda: minutes(60), poll_s=0.01, first_wait_s=0.0)
    followed.look()

    publish_everything(restored.outbox, copy.publisher, bots=BOTS)

    found = compared(restored, copy)
    assert (found.is_equal, found.extra, found.trades["BOT1"].published) == (True, (), 2)
    assert followed.look()
    assert followed.parameters.as_of(minutes(60)) == restored.parameters.as_of(minutes(60))
    assert followed.parameters.as_of(minutes(60)).version == "v1"
    restored.close()


def test_reader_given_heads_of_another_record_that_are_newer_then_reads_its_own(record: SqlRecord, copy: Copy, tmp_path: Path) -> None:
    published(record, "mine", minute=1.0)
    publish_learning(record.outbox, copy.publisher)
    other = SqlRecord.open(sqlite_url(tmp_path / "other.sqlite"))
    published(other, "theirs", minute=2.0)
    token = copy.reader.learning_token()

    publish_learning(other.outbox, copy.publisher)

    assert (copy.reader.parameters.as_of(minutes(9)).version, copy.reader.learning_token()) == ("mine", token)
    published(record, "mine again", minute=1.5, replaces="mine")
    publish_learning(record.outbox, copy.publisher)
    assert copy.reader.parameters.as_of(minutes(9)).version == "mine again"
    assert copy.reader.learning_token() != token
    assert [head.version for head in compared(record, copy).extra] == ["theirs"]
    other.close()


def test_reader_given_heads_of_a_release_that_wrote_no_origin_then_they_are_its_own_until_a_restore(
    record: SqlRecord, copy: Copy, tmp_path: Path
) -> None:
    published(record)
    with closing(sqlite3.connect(tmp_path / "platform.sqlite")) as connection, connection:
        connection.execute("UPDATE record_meta SET epoch = ''")  # as the migration leaves a record of before
    points_of = record.outbox.pending(_all_of(record), run_modes=PAPER).parameters[0]
    made = parameter_points(points_of, record.origin())
    copy.server.write(copy.buckets.learning, made.rows)
    copy.server.write(copy.buckets.learning, [re.sub(r'\\"origin\\":\{[^}]*\},', "", made.head)])

    before = copy.reader.parameters.as_of(minutes(9)).version
    told = compared(record, copy).missing
    record.begin_epoch()

    assert (before, told) == ("v1", ())
    with pytest.raises(LearningError, match="before a restore"):
        copy.reader.parameters.as_of(minutes(9))


ODD_PAIRS = [
    "NA|STY/USDT",
    "NA\\STY/USDT",
    "NA\nSTY/USDT",
    "NA\rSTY/USDT",
    "NA\tSTY",
    'NA"STY',
    "",
    "100%0A",
    "币安人生/USDT",
    "[red]X/USDT",
]


def test_publish_given_pairs_that_older_releases_took_then_all_is_published_and_can_be_deleted(record: SqlRecord, copy: Copy) -> None:
    published(record)
    rows = [a_row(pair=pair, direction="long", leverage_bin="1.0-2.0") for pair in ODD_PAIRS]
    record.parameters.publish(a_set("v2", a_row(), *rows, known_at=minutes(5)), replaces="v1", is_full=True)
    record.trades.upsert([a_closed_trade(number, pair=pair) for number, pair in enumerate(ODD_PAIRS, start=1)])

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.refused, record.outbox.span(), copy.letters.read()) == (0, None, ())
    assert compared(record, copy).is_equal
    keys = [(number, OPENED) for number in range(1, len(ODD_PAIRS) + 1)]
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=keys)
    gone = publish_learning(record.outbox, copy.publisher)
    assert (gone.deleted, gone.refused, record.outbox.span()) == (len(ODD_PAIRS), 0, None)
    assert compared(record, copy).is_equal
    assert points(copy, copy.buckets.of_bot("BOT1"), "trades") == []


def test_publish_given_a_trade_that_no_point_can_hold_then_it_alone_is_a_dead_letter(record: SqlRecord, copy: Copy) -> None:
    far = datetime(2300, 1, 1, tzinfo=UTC)
    trades = [a_closed_trade(1), a_closed_trade(2, funding_fees=float("inf")), a_closed_trade(3), a_closed_trade(4, close_date=far)]
    record.trades.upsert(trades)
    published(record)

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.refused, record.outbox.span()) == (2, None)
    reasons = [letter.reason for letter in copy.letters.read()]
    assert [reason.split(":")[0] for reason in reasons] == ["trade 2 of BOT1 paper", "trade 4 of BOT1 paper"]
    found = compared(record, copy)
    assert (found.trades["BOT1"].missing, found.trades["BOT1"].extra, found.missing) == ((2, 4), (), ())

    record.trades.upsert([a_closed_trade(2, funding_fees=0.5)])
    again = replay_dead_letters(record.outbox, copy.publisher)

    assert (again.written, again.still_refused, again.published.refused) == (0, 0, 1)
    assert compared(record, copy).trades["BOT1"].missing == (4,)


def test_publish_given_a_line_that_the_server_cannot_read_then_it_alone_is_a_dead_letter(record: SqlRecord, copy: Copy) -> None:
    # InfluxDB takes no key of more than 65,535 characters, and answers for the whole request.
    trades = [a_closed_trade(number, pair="X" * 70_000 if number == 5 else "BTC/USDT:USDT") for number in range(1, 12)]
    record.trades.upsert(trades)
    published(record)
    record.parameters.publish(a_set("v2", a_row(pair="X" * 70_000), known_at=minutes(5)), replaces="v1", is_full=False)
    record.parameters.publish(a_set("v3", a_row(), known_at=minutes(6)), replaces="v2", is_full=True)

    report = publish_learning(record.outbox, copy.publisher)

    assert (report.refused, record.outbox.span()) == (3, None)
    assert [(len(letter.rows), len(letter.heads)) for letter in copy.letters.read()] == [(1, 1), (1, 0)]
    found = compared(record, copy)
    assert (found.trades["BOT1"].missing, found.differing) == ((5,), ())
    assert [head.version for head in found.missing] == ["v2"]


def test_publish_given_a_server_that_is_down_then_nothing_is_lost(record: SqlRecord, tmp_path: Path) -> None:
    with InfluxProgram() as program:
        copy = Copy.on(program, tmp_path, record=record)
        everything(record)
        if not program.is_ours:
            pytest.skip("the server that TEST_INFLUX_URL names is not ours to stop")
        program.stop()
        waiting = record.outbox.span()

        with pytest.raises(StoreBusyError, match="cannot be reached in time"):
            publish_learning(record.outbox, copy.publisher)

        assert record.outbox.span() == waiting
        program.start()
        publish_learning(record.outbox, copy.publisher)
        assert compared(record, copy).is_equal
        copy.close()


def test_publish_given_a_kill_before_it_was_confirmed_then_doing_it_again_changes_nothing(record: SqlRecord, copy: Copy) -> None:
    everything(record)
    copy.publisher.publish(record.outbox.pending(_all_of(record), run_modes=PAPER))

    publish_learning(record.outbox, copy.publisher)

    assert compared(record, copy).is_equal


def test_prepare_given_a_retention_then_buckets_have_it_and_older_points_are_not_sent(
    record: SqlRecord, influx: InfluxProgram, tmp_path: Path
) -> None:
    copy = Copy.on(influx, tmp_path, life=timedelta(days=30), record=record)
    everything(record)

    report = publish_learning(record.outbox, copy.publisher)

    # All of it is older than 30 days by the wall's clock of the test.
    assert (report.points, report.refused, report.expired) == (0, 0, 11)
    assert copy.server.buckets([copy.buckets.learning])[copy.buckets.learning] == 30 * 86_400
    assert compared(record, copy).trades["BOT1"].is_equal
    copy.close()


def test_health_given_missing_and_other_buckets_then_says_so(influx: InfluxProgram, tmp_path: Path) -> None:
    first = Copy.on(influx, tmp_path)
    assert any(f"bucket {first.buckets.learning} is missing" in text for text in first.reader.health(bots=BOTS))
    first.publisher.prepare(bots=BOTS)
    assert first.reader.health(bots=BOTS) == ()

    prefix = first.buckets.learning.removesuffix("bot3_learning")
    other = Copy.on(influx, tmp_path, life=timedelta(days=30), prefix=prefix)

    assert any("retains points for 0 s, but the settings require 2592000 s" in text for text in other.reader.health(bots=BOTS))
    first.close()
    other.close()


def test_rows_given_a_wrong_token_then_says_what_to_check(copy: Copy, influx: InfluxProgram) -> None:
    stranger = InfluxServer(replace(influx.address(), token="not-the-token"))

    with pytest.raises(StoreError, match="check BOT3_INFLUX_TOKEN") as refused:
        list(stranger.rows("buckets()"))

    assert "not-the-token" not in str(refused.value)
    stranger.close()


def test_rows_given_flux_in_a_parameter_then_it_is_a_value(copy: Copy) -> None:
    evil = 'x" or true) //'

    assert (
        list(copy.server.rows("from(bucket: b) |> range(start: 0) |> filter(fn: (r) => r._field == f)", b=copy.buckets.learning, f=evil))
        == []
    )


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "delete", "reuse", "publish", "kill"]), st.integers(1, 3), st.integers(0, 2)), max_size=12
    )
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_copy_given_any_order_of_changes_and_kills_then_ends_equal_to_the_record(
    influx: InfluxProgram, tmp_path: Path, steps: list[tuple[str, int, int]]
) -> None:
    copy = Copy.on(influx, tmp_path)
    copy.publisher.prepare(bots=BOTS)
    record = copy.source.record = SqlRecord.open(sqlite_url(tmp_path / f"{copy.buckets.learning}.sqlite"))
    for step, trade_id, change in steps:
        if step in {"write", "reuse"}:
            opened = OPENED if step == "write" else minutes(-60)
            closed, reason = opened + timedelta(minutes=50 + change), None if change == 2 else "roi"
            record.trades.upsert([a_closed_trade(trade_id, open_date=opened, close_date=closed, exit_reason=reason)])
        elif step == "delete":
            record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(trade_id, OPENED)])
        elif step == "publish":
            publish_learning(record.outbox, copy.publisher)
        elif (span := record.outbox.span()) is not None:
            copy.publisher.publish(record.outbox.pending(span, run_modes=PAPER))

    publish_learning(record.outbox, copy.publisher)

    assert compared(record, copy).is_equal
    record.close()
    copy.close()


def _all_of(record: SqlRecord) -> OutboxSpan:
    record.outbox.requeue()
    span = record.outbox.span()
    assert span is not None
    return span


def _mend(copy: Copy) -> None:
    """Take the wrong type away: a shard keeps a field's type until the bucket is gone."""
    _recreated(copy, copy.buckets.learning)


def _recreated(copy: Copy, bucket: str) -> None:
    buckets = copy.server._client.buckets_api()
    buckets.delete_bucket(buckets.find_bucket_by_name(bucket))
    copy.server.create_bucket(bucket, keep_s=0)
