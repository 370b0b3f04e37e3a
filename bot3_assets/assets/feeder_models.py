"""Asset of the models of the ten feeders, one model per feeder and week."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3.errors import ModelError
from bot3.market.weeks import week_start
from bot3_assets.freshness import weekly
from bot3_assets.partitions import feeder_and_week, feeder_weeks
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.ports.record import ModelEntry
    from bot3.wiring import Platform


@dg.asset(
    deps=["features"],
    partitions_def=feeder_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=10),
    group_name="feeders",
    kinds={"lightgbm"},
    owners=["team:research"],
    freshness_policy=weekly,
)
@tried_again()
def feeder_models(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """A feeder's model of a week, trained on data known before the week began; a backfill trains the models of past weeks."""
    opened = platform.platform()
    for key in context.partition_keys:
        feeder_id, week = feeder_and_week(key)
        entry = opened.feeders.train_feeder(feeder_id, until=week_start(week))
        context.add_asset_metadata(feeder_model_metadata(entry), partition_key=key)


@dg.asset_check(asset=feeder_models, blocking=True, description="Every registered model file exists, is unchanged and readable.")
def models_are_sound(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if no model is registered, or a model file was lost or changed, so that no signals are made with it."""
    return models_verdict(platform.platform())


def feeder_model_metadata(entry: "ModelEntry") -> dict[str, dg.MetadataValue]:
    """Return a model's digest, training span and rows, what its forecasts rest on, and the log losses and thresholds that are known."""
    return {
        "digest": dg.MetadataValue.text(entry.digest),
        "rows": dg.MetadataValue.int(entry.rows),
        "trained_from": dg.MetadataValue.text(entry.trained_from.isoformat()),
        "trained_until": dg.MetadataValue.text(entry.trained_until.isoformat()),
        "information": dg.MetadataValue.text(str(entry.information)),
        **{
            name: dg.MetadataValue.float(value)
            for name in ("log_loss_oof", "base_log_loss_oof", "long_threshold", "short_threshold")
            if (value := getattr(entry, name)) is not None
        },
    }


def models_verdict(platform: "Platform") -> dg.AssetCheckResult:
    """Pass if at least one model is registered and every model file can be read with its digest; name those that cannot."""
    digests = [str(digest) for digest in platform.record.models.frame()["digest"].unique()]
    broken = {}
    for digest in digests:
        try:
            platform.models.read(digest)
        except ModelError as error:
            broken[digest[:12]] = str(error)
    return dg.AssetCheckResult(passed=bool(digests) and not broken, metadata={"models": len(digests), "broken": broken})
