"""Sync all closed trades of all bots again each night, because the syncs of the day read only the trades of the last days."""

import dagster as dg

from bot3_assets.partitions import all_bots
from bot3_assets.resources import PlatformResource

compare_trades = dg.define_asset_job(
    "compare_trades",
    selection=["synced_trades"],
    description="Reads all closed trades of all bots again; those that changed or vanished after their close are corrected and counted.",
    executor_def=dg.in_process_executor,
    tags={"bot3/beat": "compare_trades", "dagster/max_runtime": "3600"},
)


@dg.schedule(
    job=compare_trades,
    cron_schedule="40 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 2:40 UTC, all bots in one run.",
)
def nightly_comparison(context: dg.ScheduleEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Request a run over every bot's partition once a night; skip if there is no seeded home or a store is unavailable."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    night = context.scheduled_execution_time
    return dg.RunRequest(run_key=f"night-{night:%Y-%m-%d}", tags=all_bots())
