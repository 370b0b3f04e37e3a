"""Closes to parameters within a tick, whatever dies in between; and the market's own calendar."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from bot3.errors import LearningError, StoreError
from bot3.market.weeks import week_of
from bot3.trading.horizons import Horizon
from bot3.trading.trades import RunMode, Trade
from bot3.wiring import Platform, open_platform
from bot3_assets.definitions import defs
from bot3_assets.lineage import REPORTED_BY, Lineage
from bot3_assets.listening import BACKLOG, ChangeDetector, ReportedCursor, report_step
from bot3_assets.partitions import MARKET_WEEKS, all_bots, all_feeders_of_week
from bot3_assets.resources import PlatformResource, close_platforms
from bot3_assets.schedules import weekly_retraining
from bot3_assets.sensors import closes_to_parameters, new_market_week
from tests.seeded import seeded_until, set_market_time, tiny_settings

CHAIN = ("synced_trades", "trade_replays", "adaptive_params")

on_a_home = pytest.mark.slow


@contextmanager
def daemon(home: Path) -> Iterator[Platform]:
    """Open a home as the execution daemon does: another connection to its stores."""
    with open_platform(tiny_settings(home)) as opened:
        yield opened


def close_trades(home: Path, count: int = 1) -> list[int]:
    """Commit closed trades to BOT1's own store, their horizon passed; return their ids."""
    with daemon(home) as opened:
        store, now = opened.bot_store("BOT1"), opened.clock.now()
        first = store.next_trade_id()
        trades = [a_close(opened, first + index, at=now - timedelta(minutes=index % 60)) for index in range(count)]
        store.import_trades(trades)
        return [trade.trade_id for trade in trades]


def a_close(opened: Platform, trade_id: int, *, at: Any) -> Trade:
    pair, opened_at = opened.candles.pairs()[0], at - timedelta(hours=25)
    rate = opened.candles.rate_at(pair, "5m", opened_at)
    return Trade(
        bot="BOT1",
        run_mode=RunMode.PAPER,
        account="paper-BOT1",
        trade_id=trade_id,
        pair=pair,
        is_short=False,
        leverage=3.0,
        open_date=opened_at,
        open_rate=rate,
        amount=300.0 / rate,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=at,
        close_rate=rate * 1.01,
        close_profit=0.027,
        close_profit_abs=2.7,
        exit_reason="roi",
        horizon=Horizon.DAY,
    )


def tick(resource: PlatformResource, instance: dg.DagsterInstance, *, cursor: str | None) -> Any:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs, resources={"platform": resource})
    return closes_to_parameters.evaluate_tick(context)


def told(instance: dg.DagsterInstance, asset: str) -> list[dg.AssetMaterialization]:
    """Return what was reported of an asset, newest first."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
    return [record.asset_materialization for record in records if record.asset_materialization is not None]


@on_a_home
def test_sensor_given_a_close_then_learns_and_reports_the_chain_within_its_tick(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    quiet = tick(resource, instance, cursor=None)
    before = len(told(instance, "adaptive_params"))
    version = resource.platform().record.parameters.as_of(resource.platform().clock.now()).version
    close_trades(Path(resource.home))

    tick(resource, instance, cursor=quiet.cursor)

    platform = resource.platform()
    parameters = platform.record.parameters.as_of(platform.clock.now())
    newest = told(instance, "adaptive_params")
    assert parameters.version != version
    assert len(newest) == before + 1
    assert newest[0].metadata["version"].value == parameters.version
    assert newest[0].metadata[REPORTED_BY].value == "closes_to_parameters"
    assert {event.partition for event in told(instance, "synced_trades")} == set(platform.bot_names)


@on_a_home
def test_sensor_given_the_chain_was_reported_then_no_asset_is_older_than_what_it_rests_on(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    tick(resource, instance, cursor=None)

    newest = [instance.get_latest_materialization_event(dg.AssetKey(asset)) for asset in CHAIN]
    times = [event.timestamp for event in newest if event is not None]
    assert len(times) == len(CHAIN)
    assert times == sorted(times)


@on_a_home
def test_sensor_given_nothing_new_then_reports_nothing(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    first = tick(resource, instance, cursor=None)
    reported = len(told(instance, "adaptive_params"))

    second = tick(resource, instance, cursor=first.cursor)

    assert len(told(instance, "adaptive_params")) == reported
    assert second.cursor == first.cursor
    assert (first.skip_message, second.skip_message) == (second.skip_message, first.skip_message)


@on_a_home
def test_sensor_given_a_restart_then_its_cursor_still_counts_and_nothing_is_published_twice(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    first = tick(resource, instance, cursor=None)
    before = told(instance, "adaptive_params")[0]
    close_platforms()

    second = tick(resource, instance, cursor=first.cursor)

    # An event may come twice, never not at all: the same version is told.
    assert json.loads(second.cursor) == json.loads(first.cursor)
    assert told(instance, "adaptive_params")[0].metadata["version"] == before.metadata["version"]


@on_a_home
def test_sensor_given_a_kill_between_record_and_event_then_tells_it_at_the_next_tick(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    first = tick(resource, instance, cursor=None)
    reported = len(told(instance, "adaptive_params"))
    close_trades(Path(resource.home))
    close_platforms()
    with daemon(Path(resource.home)) as killed:
        killed.steps.learn_from_closes(killed.sources(["BOT1"]))
        learned = killed.record.parameters.as_of(killed.clock.now()).version

    tick(resource, instance, cursor=first.cursor)

    # Once for the kill, and once more where a learner that starts anew published in full: the same version.
    since = told(instance, "adaptive_params")[:-reported]
    assert {event.metadata["version"].value for event in since} == {learned}


@on_a_home
def test_sensor_given_a_record_that_refuses_a_close_then_learns_it_once_the_record_takes_it(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    first = tick(resource, instance, cursor=None)
    (trade_id,) = close_trades(Path(resource.home))
    record = resource.platform().settings.home / "platform.sqlite"

    with refusing(record), pytest.raises(StoreError):
        tick(resource, instance, cursor=first.cursor)
    missed = resource.platform().steps.unsynced_closes()
    tick(resource, instance, cursor=first.cursor)

    keys = resource.platform().record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None)
    assert missed == 1
    assert [key[0] for key in keys] == [trade_id]


@on_a_home
def test_sensor_given_a_record_that_loses_a_close_then_publishes_nothing_and_reports_the_failed_check_once(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    first = tick(resource, instance, cursor=None)
    platform = resource.platform()
    version = platform.record.parameters.as_of(platform.clock.now()).version
    before = len(verdicts(instance))
    close_trades(Path(resource.home))

    with losing(Path(resource.home) / "platform.sqlite"):
        for _ in range(2):
            with pytest.raises(LearningError, match=r"BOT1 paper .*missing 1"):
                tick(resource, instance, cursor=first.cursor)

    assert platform.record.parameters.as_of(platform.clock.now()).version == version
    assert verdicts(instance)[before:] == [False]


@on_a_home
def test_sensor_given_the_lost_close_is_found_then_learns_it_and_the_check_passes(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    first = tick(resource, instance, cursor=None)
    platform = resource.platform()
    version = platform.record.parameters.as_of(platform.clock.now()).version
    close_trades(Path(resource.home))
    with losing(Path(resource.home) / "platform.sqlite"), pytest.raises(LearningError):
        tick(resource, instance, cursor=first.cursor)

    tick(resource, instance, cursor=first.cursor)

    assert platform.record.parameters.as_of(platform.clock.now()).version != version
    assert verdicts(instance)[-2:] == [False, True]


def verdicts(instance: dg.DagsterInstance) -> list[bool]:
    """Return what was said of the reconciliation, oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("synced_trades"), "synced_trades_are_reconciled"), limit=100
    )
    evaluations = [
        record.event.dagster_event.asset_check_evaluation_data for record in records if record.event and record.event.dagster_event
    ]
    return [evaluation.passed for evaluation in reversed(evaluations)]


@contextmanager
def losing(record: Path) -> Iterator[None]:
    """Let the record lose every new trade without a word."""
    with closing(sqlite3.connect(record)) as connection:
        connection.execute("CREATE TRIGGER lose BEFORE INSERT ON synced_trades BEGIN SELECT RAISE(IGNORE); END")
        connection.commit()
        yield
        connection.execute("DROP TRIGGER lose")
        connection.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyLineage(Lineage):
    """A report during which another process learns from a close."""

    home: Path

    def checked(self, asset: str, check: str, result: dg.AssetCheckResult) -> None:
        """Report a verdict, after the chain was told and another process went on."""
        Lineage.checked(self, asset, check, result)
        if asset == "adaptive_params":
            close_trades(self.home)
            with daemon(self.home) as other:
                other.steps.learn_from_closes(other.sources(["BOT1"]))


@on_a_home
def test_report_step_given_another_process_commits_meanwhile_then_its_cursor_stays_below_that(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    platform = resource.platform()

    reported = report_step(BusyLineage(instance=instance, source="test", home=Path(resource.home)), platform)

    newest = platform.record.parameters.as_of(platform.clock.now()).version
    assert told(instance, "adaptive_params")[0].metadata["version"].value != newest
    assert reported.revision < platform.record.revision()


@contextmanager
def refusing(record: Path) -> Iterator[None]:
    """Let the record refuse every new trade."""
    with closing(sqlite3.connect(record)) as connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON synced_trades BEGIN SELECT RAISE(ABORT, 'refused'); END")
        connection.commit()
        yield
        connection.execute("DROP TRIGGER refuse")
        connection.commit()


@on_a_home
def test_sensor_given_more_closes_than_a_tick_should_take_then_asks_for_a_run(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    close_trades(Path(resource.home), BACKLOG + 1)
    revision = resource.platform().record.revision()

    asked = tick(resource, instance, cursor=None)

    (request,) = asked.run_requests
    assert request.tags.items() >= all_bots().items()
    assert resource.platform().record.revision() == revision
    done = defs.resolve_job_def("backlog").execute_in_process(instance=instance, resources={"platform": resource}, tags=dict(request.tags))
    assert done.success
    assert resource.platform().steps.unsynced_closes() == 0


@on_a_home
def test_sensor_given_a_backlog_run_is_under_way_then_asks_for_no_other(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    close_trades(Path(resource.home), BACKLOG + 1)
    a_backlog_run(instance, dg.DagsterRunStatus.STARTED)

    asked = tick(resource, instance, cursor=None)

    assert list(asked.run_requests or ()) == []
    assert "in progress" in (asked.skip_message or "")


@on_a_home
def test_sensor_given_the_backlog_run_failed_then_asks_again_under_another_key(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    close_trades(Path(resource.home), BACKLOG + 1)
    (first,) = tick(resource, instance, cursor=None).run_requests
    a_backlog_run(instance, dg.DagsterRunStatus.FAILURE)

    (second,) = tick(resource, instance, cursor=None).run_requests

    assert first.run_key != second.run_key


@on_a_home
def test_sensor_given_the_backlog_run_failed_just_now_then_waits_before_it_asks_again(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    close_trades(Path(resource.home), BACKLOG + 1)
    with refusing(Path(resource.home) / "platform.sqlite"):
        failed = defs.resolve_job_def("backlog").execute_in_process(
            instance=instance, resources={"platform": resource}, tags=all_bots(), raise_on_error=False
        )

    asked = tick(resource, instance, cursor=None)

    assert not failed.success
    assert list(asked.run_requests or ()) == []
    assert "again 60 s after" in (asked.skip_message or "")


def a_backlog_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    """Keep a run of the backlog as it stood in some status, without an end that was seen."""
    instance.add_run(dg.DagsterRun(job_name="backlog", run_id=make_new_run_id(), status=status))


@on_a_home
def test_sensor_given_its_backlog_was_synced_by_a_run_then_learns_from_it(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    ids = close_trades(Path(resource.home), 30)
    platform = resource.platform()
    before = platform.record.parameters.as_of(platform.clock.now()).rows["*|*|*"].trades_count
    defs.resolve_job_def("backlog").execute_in_process(instance=instance, resources={"platform": resource}, tags=all_bots())

    tick(resource, instance, cursor=None)

    assert platform.record.parameters.as_of(platform.clock.now()).rows["*|*|*"].trades_count == before + len(ids)


@on_a_home
def test_watch_given_a_commit_of_another_process_then_names_its_source_once(platform: Platform) -> None:
    watch = ChangeDetector(platform)
    watch.changed()
    close_trades(platform.settings.home)

    found = watch.changed()

    assert [(source.reader.bot, source.run_mode) for source in found] == [("BOT1", RunMode.PAPER)]
    assert watch.changed() == []


@on_a_home
def test_watch_given_a_source_that_did_not_get_through_then_names_it_again(platform: Platform) -> None:
    watch = ChangeDetector(platform)
    found = watch.changed()

    watch.forget(found[:1])

    assert watch.changed() == found[:1]


def test_reported_given_a_cursor_of_another_record_then_nothing_was_reported() -> None:
    cursor = ReportedCursor(store_id="old", revision=41).cursor()

    assert ReportedCursor.of(cursor, store_id="old").revision == 41
    assert ReportedCursor.of(cursor, store_id="new").revision == 0
    assert ReportedCursor.of(None, store_id="new").revision == 0


@on_a_home
def test_new_market_week_given_a_week_began_then_asks_once(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    at = seeded_until(Path(resource.home)) + timedelta(days=8)
    set_market_time(Path(resource.home), at)

    first = week_tick(resource, instance, cursor=None)
    second = week_tick(resource, instance, cursor=first.cursor)

    (request,) = first.run_requests
    assert request.tags.items() >= all_feeders_of_week(week_of(at)).items()
    assert instance.get_dynamic_partitions(MARKET_WEEKS) == [week_of(at)]
    assert list(second.run_requests or ()) == []


@on_a_home
def test_new_market_week_given_the_seeds_own_week_then_asks_nothing(seeded: PlatformResource, instance: dg.DagsterInstance) -> None:
    assert list(week_tick(seeded, instance, cursor=None).run_requests or ()) == []


def week_tick(resource: PlatformResource, instance: dg.DagsterInstance, *, cursor: str | None) -> Any:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs, resources={"platform": resource})
    return new_market_week.evaluate_tick(context)


@on_a_home
def test_weekly_retraining_asks_for_the_markets_week_of_all_feeders(seeded: PlatformResource, tmp_path: Path) -> None:
    week = week_of(seeded.platform().clock.now())

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(instance=instance, resources={"platform": seeded}, repository_def=defs.get_repository_def())
        (request,) = weekly_retraining.evaluate_tick(context).run_requests or ()
        weeks = instance.get_dynamic_partitions(MARKET_WEEKS)

    assert request.tags.items() >= all_feeders_of_week(week).items()
    assert weeks == [week]
