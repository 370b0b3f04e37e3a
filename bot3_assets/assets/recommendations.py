"""Asset of the recommendation, which limits what BOT3 may trade until it expires."""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from bot3.trading.signals import FEEDER_IDS
from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.trading.recommendations import Recommendation
    from bot3.wiring import Platform


@dg.asset(
    deps=["adaptive_params", "feeder_scores", "regime_state"],
    group_name="learning",
    kinds={"python", "json"},
    owners=["team:trading"],
    freshness_policy=every_beat,
)
@tried_again()
def recommendations(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Feeders by tier, leverage range and size for the regime in force; published to the record and as two JSON files."""
    opened = platform.platform()
    opened.steps.recommend()
    return dg.MaterializeResult(metadata=recommendations_metadata(opened))


@dg.asset_check(
    asset=recommendations,
    blocking=True,
    description="It has a tier for every feeder, names the versions it is based on, and has not expired.",
)
def recommendation_is_complete(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if the newest recommendation lacks a feeder or a version, or has expired."""
    opened = platform.platform()
    now = opened.clock.now()
    return recommendation_verdict(opened.record.recommendations.as_of(now), now=now)


def recommendations_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the fields of the newest recommendation."""
    newest = platform.record.recommendations.as_of(platform.clock.now())
    low, high = newest.suggested_leverage_range
    return {
        "regime": dg.MetadataValue.text(str(newest.regime)),
        "tiers": dg.MetadataValue.json({feeder: str(tier) for feeder, tier in newest.tiers.items()}),
        "top_feeders": dg.MetadataValue.json(list(newest.top_feeders)),
        "avoid_feeders": dg.MetadataValue.json(list(newest.avoid_feeders)),
        "open_feeders": dg.MetadataValue.json(list(newest.open_feeders)),
        "top_tier": dg.MetadataValue.text(str(newest.top_tier)),
        "open_bins": dg.MetadataValue.json(list(newest.open_bins)),
        "leverage_low": dg.MetadataValue.float(low),
        "leverage_high": dg.MetadataValue.float(high),
        "size_multiplier": dg.MetadataValue.float(newest.suggested_position_size_multiplier),
        "expires_at": dg.MetadataValue.text(newest.expires_at.isoformat()),
        "version": dg.MetadataValue.text(newest.version),
        "parameters_version": dg.MetadataValue.text(newest.parameters_version),
        "scores_version": dg.MetadataValue.text(newest.scores_version),
    }


def recommendation_verdict(newest: "Recommendation", *, now: datetime) -> dg.AssetCheckResult:
    """Pass if all ten feeders have a tier, the versions that it was computed from are named, and it has not expired."""
    missing = sorted(set(FEEDER_IDS) - set(newest.tiers))
    unnamed = [name for name in ("version", "parameters_version", "scores_version") if not getattr(newest, name)]
    expired = now >= newest.expires_at
    return dg.AssetCheckResult(
        passed=not missing and not unnamed and not expired,
        metadata={"feeders_without_tier": missing, "unnamed": unnamed, "expired": expired, "version": newest.version},
    )
