"""Every asset and every job on a seeded home, in process, as a run does it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from bot3.errors import LearningError
from bot3.market.weeks import week_of
from bot3.trading.signals import FEEDER_IDS
from bot3.wiring import Platform
from bot3_assets.definitions import defs
from bot3_assets.partitions import MARKET_WEEKS, all_bots, all_feeders_of_week, feeder_week_key
from bot3_assets.resources import PlatformResource
from tests.assets.test_sensors import close_trades, losing
from tests.seeded import seeded_until, set_market_time

pytestmark = pytest.mark.slow  # on a seeded home

FIGURES = {
    "candles": {"dagster/row_count", "pairs", "missing_candles"},
    "features": {"dagster/row_count", "features"},
    "regime_state": {"regime", "since", "version", "last_day"},
    "shadow_trades": {"added", "dagster/row_count", "by_feeder"},
    "feeder_scores": {"version", "shadow_trades", "ranking"},
    "adaptive_params": {"dagster/row_count", "version", "revision", "expires_at", "by_bin"},
    "recommendations": {"regime", "tiers", "expires_at", "version", "parameters_version", "scores_version"},
}


def run(
    job: str, *, resource: PlatformResource, instance: dg.DagsterInstance, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=instance, resources={"platform": resource}, tags=tags or {})


def made(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dg.AssetMaterialization]:
    found = result.asset_materializations_for_node(asset)
    return {event.partition: event for event in found}


def test_meta_learner_makes_its_assets_with_figures_and_passes_its_checks(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    before = resource.platform().record.recommendations.as_of(resource.platform().clock.now()).generated_at

    result = run("meta_learner", resource=resource, instance=instance)

    assert result.success
    for asset, figures in FIGURES.items():
        assert set(made(result, asset)[None].metadata) >= figures, asset
    assert len(result.get_asset_check_evaluations()) == 8
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == []
    assert resource.platform().record.recommendations.as_of(resource.platform().clock.now()).generated_at >= before


def test_meta_learner_given_the_market_went_on_then_extends_shadow_trades_and_renews_the_recommendation(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    later = seeded_until(Path(resource.home)) + timedelta(days=2)
    set_market_time(Path(resource.home), later)

    result = run("meta_learner", resource=resource, instance=instance)

    platform = resource.platform()
    recommendation = platform.record.recommendations.as_of(platform.clock.now())
    assert made(result, "shadow_trades")[None].metadata["added"].value > 0
    assert later <= recommendation.generated_at < later + timedelta(minutes=1)


def test_meta_learner_given_a_record_that_lost_a_close_then_publishes_nothing(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    platform = resource.platform()
    version = platform.record.parameters.as_of(platform.clock.now()).version
    close_trades(Path(resource.home))

    with losing(Path(resource.home) / "platform.sqlite"), pytest.raises(LearningError, match="BOT1 paper"):
        platform.steps.learn_parameters()

    assert platform.record.parameters.as_of(platform.clock.now()).version == version


def test_backlog_syncs_and_replays_every_bot(resource: PlatformResource, platform: Platform, instance: dg.DagsterInstance) -> None:
    result = run("backlog", resource=resource, instance=instance, tags=all_bots())

    synced, counts = made(result, "synced_trades"), platform.record.trades.counts()
    assert set(synced) == set(made(result, "trade_replays")) == set(platform.bot_names)
    for bot, event in synced.items():
        assert event.metadata["dagster/row_count"].value == int(counts.loc[counts["bot"] == bot, "trades"].sum()) > 0


def test_retraining_makes_models_and_signals_of_one_week_and_no_other(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    at = seeded_until(Path(resource.home)) + timedelta(days=1)
    set_market_time(Path(resource.home), at)
    week = week_of(at)
    instance.add_dynamic_partitions(MARKET_WEEKS, ["2025-02-03", "2025-02-10", week, "2025-02-24"])

    result = run("retraining", resource=resource, instance=instance, tags=all_feeders_of_week(week))

    keys = {feeder_week_key(feeder, week) for feeder in FEEDER_IDS}
    assert set(made(result, "feeder_models")) == set(made(result, "feeder_signals")) == keys
    models = resource.platform().record.models.frame()
    assert sorted(models.loc[models["trained_until"] == models["trained_until"].max(), "feeder_id"]) == sorted(FEEDER_IDS)
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == []


def test_feeder_signals_given_a_damaged_model_file_then_are_not_made(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    next((Path(resource.home) / "models").glob("*.model")).write_bytes(b"not the model that was registered")
    week = "2025-02-10"
    instance.add_dynamic_partitions(MARKET_WEEKS, [week])

    result = defs.resolve_job_def("retraining").execute_in_process(
        instance=instance, resources={"platform": resource}, tags=all_feeders_of_week(week), raise_on_error=False
    )

    assert not result.success
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == ["models_are_sound"]
    assert made(result, "feeder_signals") == {}
