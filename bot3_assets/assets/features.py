"""Asset of the features that the feeders' models use."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from bot3.market.instants import instant_us
from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.learning.feeders.feature_panel import PairPanel
    from bot3.wiring import Platform


@dg.asset(
    deps=["candles"],
    group_name="market",
    kinds={"numpy", "talib"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
def features(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Technical, regime, volume and momentum features of every pair, from past candles only; not stored, checked for the last day."""
    return dg.MaterializeResult(metadata=features_metadata(platform.platform()))


@dg.asset_check(asset=features, blocking=True, description="No feature of the last day is NaN or infinite on any pair.")
def features_have_no_gap(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a feature of any pair is NaN or infinite on a candle of the last day of market time."""
    return features_verdict(platform.platform())


def features_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the number of features, and of the last day's candles that they were computed for."""
    from bot3.market.features import FEATURE_FAMILIES, FEATURE_NAMES  # noqa: PLC0415  # loads TA-Lib

    panel = _last_day(platform)
    families = {family: len(names) for family, names in FEATURE_FAMILIES.items()}
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(len(pair) for pair in panel)),
        "features": dg.MetadataValue.int(len(FEATURE_NAMES)),
        "families": dg.MetadataValue.json(families),
        "market_time": dg.MetadataValue.text(platform.clock.now().isoformat()),
    }


def features_verdict(platform: "Platform") -> dg.AssetCheckResult:
    """Pass if every feature is finite on every candle of the last day; name those that are not, by pair."""
    from bot3.market.features import FEATURE_NAMES  # noqa: PLC0415  # loads TA-Lib

    holes = {}
    for pair in _last_day(platform):
        lost = np.flatnonzero(~np.isfinite(pair.features).all(axis=0))
        if len(lost):
            holes[pair.pair] = ", ".join(FEATURE_NAMES[index] for index in lost)
    return dg.AssetCheckResult(passed=not holes, metadata={"holes": holes})


def _last_day(platform: "Platform") -> "list[PairPanel]":
    """Compute each pair's features of the last day of market time."""
    from bot3.usecases.feeders.train_feeders import build_panel  # noqa: PLC0415  # loads numba and TA-Lib

    now = platform.clock.now()
    start = now - timedelta(days=1)
    panel = build_panel(platform.candles, pairs=platform.candles.pairs(), start=start, end=now, timeframe=platform.settings.timeframe)
    return [pair.since(instant_us(start)) for pair in panel.pairs]
