"""What the feeders look at."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.wiring import Platform


@dg.asset(
    deps=["candles"],
    group_name="market",
    kinds={"numpy", "talib"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
def features(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Technical, regime, volume and momentum features of every pair, causal; computed where they are needed, looked at here."""
    return dg.MaterializeResult(metadata=features_metadata(platform.platform()))


@dg.asset_check(asset=features, blocking=True, description="No feature of the last day is NaN or infinite on any pair.")
def features_have_no_gap(platform: PlatformResource) -> dg.AssetCheckResult:
    """Refuse features that a model would be fed with holes."""
    holes = _holes(platform.platform())
    return dg.AssetCheckResult(passed=not holes, metadata={"holes": holes})


def features_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return how many features there are, of how many candles."""
    raise NotImplementedError


_WINDOW = timedelta(days=1)


def _holes(platform: "Platform") -> dict[str, int]:
    raise NotImplementedError
