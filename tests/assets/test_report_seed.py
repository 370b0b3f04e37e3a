"""What a seed made is told to Dagster whole: every asset, every check, every partition."""

from __future__ import annotations

import dagster as dg
import pytest

from bot3.settings import BOT_NAMES
from bot3.trading.signals import FEEDER_IDS
from bot3_assets.definitions import defs
from bot3_assets.lineage import REPORTED_BY, Lineage
from bot3_assets.report_seed import report_seed
from bot3_assets.resources import PlatformResource

pytestmark = pytest.mark.slow  # on a seeded home

MADE = sorted(key.to_user_string() for key in defs.resolve_asset_graph().materializable_asset_keys)


@pytest.fixture
def reported(seeded: PlatformResource, instance: dg.DagsterInstance) -> dg.DagsterInstance:
    report_seed(Lineage(instance=instance, source="seed"), seeded.platform())
    return instance


def test_report_seed_tells_every_asset_and_who_says_so(reported: dg.DagsterInstance) -> None:
    events = {name: reported.get_latest_materialization_event(dg.AssetKey(name)) for name in MADE}

    assert [name for name, event in events.items() if event is None or event.asset_materialization is None] == []
    assert {event.asset_materialization.metadata[REPORTED_BY].value for event in events.values() if event} == {"seed"}  # type: ignore[union-attr]


def test_report_seed_tells_every_check_and_all_passed(reported: dg.DagsterInstance) -> None:
    for key in defs.resolve_asset_graph().asset_check_keys:
        (record,) = reported.event_log_storage.get_asset_check_execution_history(key, limit=1)
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert (key.name, evaluation.passed) == (key.name, True)


def test_report_seed_tells_every_partition(reported: dg.DagsterInstance, seeded: PlatformResource) -> None:
    signals = seeded.platform().signals
    weeks = {(feeder, week) for feeder in FEEDER_IDS for week in signals.weeks(feeder)}

    assert reported.get_materialized_partitions(dg.AssetKey("synced_trades")) == set(BOT_NAMES)
    assert reported.get_materialized_partitions(dg.AssetKey("feeder_signals")) == {f"{feeder}|{week}" for feeder, week in weeks}
    assert len(reported.get_materialized_partitions(dg.AssetKey("feeder_models"))) == len(FEEDER_IDS)


def test_report_seed_leaves_no_asset_older_than_what_it_rests_on(reported: dg.DagsterInstance) -> None:
    graph = defs.resolve_asset_graph()
    told = {name: reported.get_latest_materialization_event(dg.AssetKey(name)) for name in MADE}

    for name, event in told.items():
        for parent in graph.get(dg.AssetKey(name)).parent_keys:
            before = told.get(parent.to_user_string())
            assert before is None or event is None or before.timestamp <= event.timestamp, (name, parent)
