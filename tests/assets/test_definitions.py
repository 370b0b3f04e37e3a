"""The code location as Dagster shows it: everything named, described, owned, and linked from candles to recommendations."""

from __future__ import annotations

import dagster as dg
import pytest

from bot3.settings import load_settings
from bot3_assets.definitions import defs

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
MADE = sorted(set(SPECS) - {"bot_trades"})


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


@pytest.mark.parametrize("name", MADE)
def test_asset_that_is_made_here_has_a_freshness_policy(name: str) -> None:
    assert SPECS[name].freshness_policy is not None


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
    checks = [spec for definition in defs.asset_checks or () for spec in definition.check_specs]  # type: ignore[union-attr]

    assert len(checks) >= 9
    assert [spec.name for spec in checks if not spec.blocking or not spec.description] == []


def test_meta_learner_beats_at_the_interval_of_the_settings() -> None:
    schedule = defs.resolve_schedule_def("meta_learner_beat")

    assert schedule.cron_schedule == f"*/{load_settings().meta_learner_interval_s // 60} * * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_retraining_is_weekly() -> None:
    assert defs.resolve_schedule_def("weekly_retraining").cron_schedule == "0 3 * * 1"


def test_sensors_run_from_the_first_start() -> None:
    sensors = [defs.resolve_sensor_def(name) for name in ("closes_to_parameters", "new_market_week", "run_failed")]

    assert [sensor.name for sensor in sensors if sensor.default_status is not dg.DefaultSensorStatus.RUNNING] == []
