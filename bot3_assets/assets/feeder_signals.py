"""Asset of the out-of-sample signals of every feeder, by week."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3.market.weeks import WEEK, week_start
from bot3.trading.signals import FEEDER_IDS
from bot3_assets.freshness import weekly
from bot3_assets.partitions import feeder_and_week, feeder_week_key, feeder_weeks
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    import pandas as pd

    from bot3.wiring import Platform


@dg.asset(
    deps=["feeder_models", "features"],
    partitions_def=feeder_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=10),
    group_name="feeders",
    kinds={"lightgbm", "parquet"},
    owners=["team:research"],
    freshness_policy=weekly,
)
@tried_again()
def feeder_signals(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """A feeder's signals of a week, from the newest model known before the week began."""
    opened = platform.platform()
    made = opened.feeders.predict_weeks([feeder_and_week(key) for key in context.partition_keys])
    for (feeder_id, week), signals in made.items():
        context.add_asset_metadata(feeder_signals_metadata(signals), partition_key=feeder_week_key(feeder_id, week))


@dg.asset_check(asset=feeder_signals, blocking=True, description="Every signal is later than the training data of its model.")
def signals_are_out_of_sample(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a signal of a feeder's two newest weeks became known before the end of its model's training data."""
    return signals_verdict(platform.platform())


def feeder_signals_metadata(signals: "pd.DataFrame") -> dict[str, dg.MetadataValue]:
    """Return the number of signals of a week and of short ones, and their mean confidence (left out without signals)."""
    figures = {
        "dagster/row_count": dg.MetadataValue.int(len(signals)),
        "shorts": dg.MetadataValue.int(int(signals["is_short"].sum())),
    }
    return figures | ({"mean_confidence": dg.MetadataValue.float(float(signals["confidence"].mean()))} if len(signals) else {})


def signals_verdict(platform: "Platform") -> dg.AssetCheckResult:
    """Pass if every signal of each feeder's two newest stored weeks became known at or after the end of its model's training data.

    Other signals, and those of a model that is not registered, are counted by feeder.
    """
    trained = platform.record.models.frame().set_index("digest")["trained_until"]
    early: dict[str, int] = {}
    total = 0
    for feeder in FEEDER_IDS:
        weeks = platform.signals.weeks(feeder)[-2:]  # the newest week may have begun a minute ago
        if not weeks:
            continue
        signals = platform.signals.signals(feeder_ids=[feeder], start=week_start(weeks[0]), end=week_start(weeks[-1]) + WEEK)
        total += len(signals)
        known = signals["known_at"] >= signals["model_digest"].map(trained)
        early |= {feeder: int((~known).sum())} if not known.all() else {}
    return dg.AssetCheckResult(passed=not early, metadata={"signals": total, "in_sample": early})
