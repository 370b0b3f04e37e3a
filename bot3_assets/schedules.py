"""The jobs that are Dagster runs (meta-learner, nightly comparison, weekly retraining, backlog), and their schedules."""

from __future__ import annotations

import dagster as dg

from bot3.market.weeks import week_of
from bot3.settings import load_settings
from bot3_assets.partitions import MARKET_WEEKS, all_bots, all_feeders_of_week
from bot3_assets.resources import PlatformResource

BEAT = "bot3/beat"
# Scheduled runs have priority over backfills that are queued.
FIRST = {"dagster/priority": "1"}

LONGEST_S = 600


def longest_run_s(interval_s: int) -> int:
    """Return the time limit of a scheduled run in seconds: 80 % of the interval, at most `LONGEST_S`.

    Dagster therefore ends a run whose process died before the next one is due.
    """
    return min(LONGEST_S, interval_s * 4 // 5)


meta_learner = dg.define_asset_job(
    "meta_learner",
    selection=["candles", "features", "regime_state", "shadow_trades", "feeder_scores", "adaptive_params", "recommendations"],
    description="Regime, shadow trades, feeder scores, all parameters with pooling fitted again, recommendation and published files.",
    executor_def=dg.in_process_executor,
    tags={BEAT: "meta_learner", "dagster/max_runtime": str(longest_run_s(load_settings().meta_learner_interval_s)), **FIRST},
)
backlog = dg.define_asset_job(
    "backlog",
    selection=["synced_trades", "trade_replays"],
    description="Syncs and replays many closed trades of all bots in one run; the sensor closes_to_parameters then learns from them.",
    executor_def=dg.in_process_executor,
    tags={BEAT: "backlog", "dagster/max_runtime": "1800", **FIRST},
)
retraining = dg.define_asset_job(
    "retraining",
    selection=["feeder_models", "feeder_signals"],
    description="One week's models of all ten feeders, and their signals.",
    executor_def=dg.in_process_executor,
    tags={BEAT: "retraining", "dagster/max_runtime": "3600", **FIRST},
)
compare_trades = dg.define_asset_job(
    "compare_trades",
    selection=["synced_trades"],
    description="Reads all closed trades of all bots again; those that changed or vanished after their close are corrected and counted.",
    executor_def=dg.in_process_executor,
    tags={BEAT: "compare_trades", "dagster/max_runtime": "3600"},
)


def every(seconds: int) -> str:
    """Return the cron schedule of an interval in seconds, which must be whole minutes that divide an hour, as the settings require.

    3,600 gives a run at every full hour.
    """
    return "0 * * * *" if seconds == 3_600 else f"*/{seconds // 60} * * * *"


@dg.schedule(
    job=meta_learner,
    cron_schedule=every(load_settings().meta_learner_interval_s),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every BOT3_META_LEARNER_INTERVAL_S seconds of wall time.",
)
def meta_learner_beat(platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Request a run of the meta-learner; skip if there is no seeded home or a store is unavailable."""
    reason = platform.nothing_to_do()
    return dg.RunRequest() if reason is None else dg.SkipReason(reason)


@dg.schedule(
    job=retraining,
    cron_schedule="0 3 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Mondays at 3:00 UTC: the models of the market's current week.",
)
def weekly_retraining(context: dg.ScheduleEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Request the models of the market's current week, all feeders in one run, unless this schedule has requested that week before."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)

    week = week_of(platform.platform().clock.now())
    context.instance.add_dynamic_partitions(MARKET_WEEKS, [week])
    return dg.RunRequest(run_key=f"week-{week}", tags=all_feeders_of_week(week))


@dg.schedule(
    job=compare_trades,
    cron_schedule="40 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 2:40 UTC, all bots in one run.",
)
def nightly_comparison(context: dg.ScheduleEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Request a run over every bot's partition, once a night."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    night = context.scheduled_execution_time
    return dg.RunRequest(run_key=f"night-{night:%Y-%m-%d}", tags=all_bots())
