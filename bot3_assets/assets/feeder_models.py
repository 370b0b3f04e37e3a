"""Ten feeders, each with the models of its weeks."""

import dagster as dg

from bot3_assets.freshness import weekly
from bot3_assets.partitions import feeder_and_week, feeder_weeks, week_start
from bot3_assets.resources import PlatformResource


@dg.asset(
    deps=["features"],
    partitions_def=feeder_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=10),
    group_name="feeders",
    kinds={"lightgbm"},
    owners=["team:research"],
    freshness_policy=weekly,
)
def feeder_models(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """A feeder's model of a week, trained on what was known before the week began; so walk-forward is a backfill."""
    for key in context.partition_keys:
        feeder_id, week = feeder_and_week(key)
        entry = platform.platform().train_feeder(feeder_id, until=week_start(week))
        context.add_asset_metadata({"digest": entry.digest}, partition_key=key)
