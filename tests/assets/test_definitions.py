"""The code location as Dagster shows it: everything named, described, owned, and linked from candles to recommendations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator
from hypothesis import given
from hypothesis import strategies as st

from bot3.settings import load_settings
from bot3_assets.definitions import defs, location
from bot3_assets.freshness import of_beat
from bot3_assets.schedules import every
from tests.usecases.fakes import FakeRecord
from tests.usecases.learning.test_relearn import full, shadow_frame

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
WITH_COPY = location(has_copy=True, has_notifier=False)
CHECKS = {
    "candles": {"candles_are_lawful", "candles_are_fresh"},
    "features": {"features_have_no_gap"},
    "feeder_models": {"models_are_sound"},
    "feeder_signals": {"signals_are_out_of_sample"},
    "regime_state": {"regime_is_a_distribution"},
    "synced_trades": {"synced_trades_are_reconciled"},
    "trade_replays": {"replays_are_lawful"},
    "shadow_trades": {"shadow_trades_are_lawful"},
    "feeder_scores": {"every_feeder_is_scored"},
    "adaptive_params": {"parameters_are_lawful"},
    "recommendations": {"recommendation_is_complete"},
    "published_learning": {"published_equals_record"},
}
"""What refuses bad rows, by asset: each of them fails on the bad thing that it is for (test_checks, test_publishing)."""


def ancestors(name: str) -> set[str]:
    parents = {dep.asset_key.to_user_string() for dep in SPECS[name].deps}
    return parents.union(*(ancestors(parent) for parent in parents)) if parents else parents


def test_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_asset_has_owner_kind_group_and_description(name: str) -> None:
    spec = SPECS[name]

    assert spec.owners
    assert spec.kinds
    assert spec.group_name in {"market", "feeders", "trades", "learning"}
    assert len(spec.description or "") > 20


def test_every_asset_has_a_freshness_policy() -> None:
    specs = {spec.key.to_user_string(): spec for spec in WITH_COPY.resolve_all_asset_specs()}

    assert set(specs) == {*SPECS, "published_learning"}
    assert [name for name, spec in specs.items() if spec.freshness_policy is None] == []


@given(minutes=st.sampled_from([minutes for minutes in range(1, 61) if 60 % minutes == 0]), life_s=st.integers(61, 86_400))
def test_freshness_of_a_beat_given_any_beat_then_warns_after_a_missed_one_and_fails_later(minutes: int, life_s: int) -> None:
    beat = timedelta(minutes=minutes)

    policy = of_beat(beat_s=minutes * 60, life_s=life_s)

    assert 2 * beat < policy.warn_window.to_timedelta() < policy.fail_window.to_timedelta()
    assert policy.fail_window.to_timedelta() >= timedelta(seconds=life_s)


def test_freshness_given_the_settings_beat_then_follows_it() -> None:
    settings = load_settings()

    assert SPECS["recommendations"].freshness_policy == of_beat(
        beat_s=settings.meta_learner_interval_s, life_s=settings.recommendations_life_s
    )


def test_recommendations_descend_from_candles_and_from_the_bots_trades() -> None:
    found = ancestors("recommendations")

    assert found == set(SPECS) - {"recommendations"}


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("features", {"candles"}),
        ("feeder_models", {"features"}),
        ("feeder_signals", {"feeder_models", "features"}),
        ("regime_state", {"candles"}),
        ("synced_trades", {"bot_trades"}),
        ("trade_replays", {"synced_trades", "candles"}),
        ("shadow_trades", {"feeder_signals", "candles"}),
        ("feeder_scores", {"shadow_trades", "regime_state"}),
        ("adaptive_params", {"trade_replays"}),
        ("recommendations", {"adaptive_params", "feeder_scores", "regime_state"}),
    ],
)
def test_asset_rests_on_what_it_is_made_of(child: str, parents: set[str]) -> None:
    assert {dep.asset_key.to_user_string() for dep in SPECS[child].deps} == parents


def test_graph_has_no_edge_from_learning_back_to_the_bots() -> None:
    assert ancestors("bot_trades") == set()


def test_every_check_is_blocking_and_described() -> None:
    checks = [spec for definition in WITH_COPY.asset_checks or () for spec in definition.check_specs]  # type: ignore[union-attr]

    found = {asset: {spec.name for spec in checks if spec.asset_key == dg.AssetKey(asset)} for asset in CHECKS}
    assert (found, len(checks)) == (CHECKS, sum(map(len, CHECKS.values())))
    assert [spec.name for spec in checks if not spec.blocking or not spec.description] == []


def test_meta_learner_beats_at_the_interval_of_the_settings() -> None:
    schedule = defs.resolve_schedule_def("meta_learner_beat")

    assert schedule.cron_schedule == every(load_settings().meta_learner_interval_s)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize("seconds", [60 * minutes for minutes in range(1, 61) if 60 % minutes == 0])
def test_every_given_an_interval_that_divides_an_hour_then_the_cron_keeps_it(seconds: int) -> None:
    beats = cron_string_iterator(datetime(2026, 1, 5, tzinfo=UTC).timestamp(), every(seconds), "UTC")

    times = [next(beats).timestamp() for _ in range(130)]

    assert {later - earlier for earlier, later in pairwise(times)} == {seconds}


def test_retraining_is_weekly() -> None:
    assert defs.resolve_schedule_def("weekly_retraining").cron_schedule == "0 3 * * 1"


def test_sensors_run_from_the_first_start() -> None:
    sensors = [defs.resolve_sensor_def(name) for name in ("closes_to_parameters", "new_market_week", "run_failed")]

    assert [sensor.name for sensor in sensors if sensor.default_status is not dg.DefaultSensorStatus.RUNNING] == []


def test_every_job_ends_by_itself_and_is_told_apart_from_the_others() -> None:
    jobs = WITH_COPY.jobs or ()

    assert {job.name for job in jobs} == {"meta_learner", "retraining", "backlog", "compare_trades", "publish_record"}
    assert [job.name for job in jobs if int(job.tags["dagster/max_runtime"]) > 3_600] == []  # type: ignore[union-attr]
    assert {job.tags["bot3/beat"] for job in jobs} == {job.name for job in jobs}  # type: ignore[union-attr]


def test_relearn_everything_given_the_lineage_then_reports_no_asset_before_one_that_it_depends_on(tmp_path: Path) -> None:
    record = FakeRecord()
    record.shadow_trades.stored = shadow_frame()

    order = [asset.asset for asset in full(record, tmp_path).assets]

    assert set(order) == {"regime_state", "synced_trades", "trade_replays", "adaptive_params", "feeder_scores", "recommendations"}
    assert [(name, later) for place, name in enumerate(order) for later in order[place + 1 :] if later in ancestors(name)] == []
