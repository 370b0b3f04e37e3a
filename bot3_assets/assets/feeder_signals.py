"""Out-of-sample signals of every feeder."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import weekly
from bot3_assets.partitions import feeder_and_week, feeder_weeks, week_start
from bot3_assets.resources import PlatformResource


@dg.asset(
    deps=["feeder_models", "features"],
    partitions_def=feeder_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=10),
    group_name="feeders",
    kinds={"lightgbm", "parquet"},
    owners=["team:research"],
    freshness_policy=weekly,
)
def feeder_signals(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """A feeder's signals of a week, by the newest model that was known before the week began."""
    opened = platform.platform()
    for key in context.partition_keys:
        feeder_id, week = feeder_and_week(key)
        signals = opened.predict_week(feeder_id, start=week_start(week))
        context.add_asset_metadata({"dagster/row_count": len(signals)}, partition_key=key)
