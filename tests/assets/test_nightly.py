"""The nightly comparison mends what a day's windows cannot see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from bot3_assets.assets import candles, synced_trades
from bot3_assets.partitions import all_bots
from bot3_assets.resources import PlatformResource
from bot3_assets.schedules import compare_trades, nightly_comparison


@pytest.mark.slow
def test_schedule_given_a_night_then_asks_for_every_bot_once(seeded: PlatformResource) -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 5, 4, 2, 40, tzinfo=UTC), resources={"platform": seeded})

    request: Any = nightly_comparison(context)

    assert request.run_key == "night-2026-05-04"
    assert request.tags.items() >= all_bots().items()


@pytest.mark.slow
def test_comparison_given_a_trade_that_the_record_lost_then_it_is_back_and_counted(
    resource: PlatformResource, instance: dg.DagsterInstance
) -> None:
    platform = resource.platform()
    history = platform.history_store("BOT2")
    (first, *_) = sorted(platform.record.trades.keys(bot="BOT2", run_mode=history.run_mode, closed_since=None))
    platform.record.trades.delete(bot="BOT2", run_mode=history.run_mode, keys=[first])
    location = dg.Definitions(
        assets=dg.load_assets_from_modules([candles, synced_trades], include_specs=True),
        asset_checks=dg.load_asset_checks_from_modules([synced_trades]),
        jobs=[compare_trades],
        schedules=[nightly_comparison],
        resources={"platform": resource},
    )

    result = location.resolve_job_def("compare_trades").execute_in_process(instance=instance, tags=all_bots())

    assert result.success
    told = {made.partition: made.metadata for made in result.asset_materializations_for_node("synced_trades")}
    assert {bot: metadata["rows_updated"].value for bot, metadata in told.items()} == {"BOT1": 0, "BOT2": 1, "BOT3": 0}
    assert first in platform.record.trades.keys(bot="BOT2", run_mode=history.run_mode, closed_since=None)
