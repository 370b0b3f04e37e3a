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
    """Features of every pair, of 5m candles and of hours, from past candles only; not stored, checked for the last day."""
    return dg.MaterializeResult(metadata=features_metadata(platform.platform()))


@dg.asset_check(asset=features, blocking=True, description="Every pair has features of the last day, and none is infinite.")
def features_have_no_gap(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a pair has no features on a candle of the last day of market time, or an infinite one."""
    return features_verdict(platform.platform())


def features_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the number of features, and of the last day's candles that they were computed for."""
    from bot3.market.feature_layouts import LAYOUTS  # noqa: PLC0415  # loads TA-Lib

    panels = _last_day(platform)
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(len(pair) for panel in panels.values() for pair in panel)),
        "features": dg.MetadataValue.json({timeframe: len(layout.names) for timeframe, layout in LAYOUTS.items()}),
        "market_time": dg.MetadataValue.text(platform.clock.now().isoformat()),
    }


def features_verdict(platform: "Platform") -> dg.AssetCheckResult:
    """Pass if every candle of the last day has a volatility, without which a row has no features, and no feature is infinite.

    Other features may be NaN: ranks with few pairs, funding that is not known, a long trend of a young pair. The metadata name the features
    that fail, by pair.
    """
    from bot3.market.feature_layouts import LAYOUTS  # noqa: PLC0415  # loads TA-Lib

    holes = {}
    for timeframe, panel in _last_day(platform).items():
        names = LAYOUTS[timeframe].names
        for pair in panel:
            lost = {names[index] for index in np.flatnonzero(np.isinf(pair.features).any(axis=0))}
            if np.isnan(pair.features[:, names.index("daily_sigma")]).any():
                lost.add("daily_sigma")
            if lost:
                holes[f"{pair.pair} {timeframe}"] = ", ".join(sorted(lost))
    return dg.AssetCheckResult(passed=not holes, metadata={"holes": holes})


def _last_day(platform: "Platform") -> "dict[str, list[PairPanel]]":
    """Compute each pair's features of the last day of market time, by timeframe."""
    from bot3.usecases.feeders.panels import build_panels  # noqa: PLC0415  # loads numba and TA-Lib

    now = platform.clock.now()
    start = now - timedelta(days=1)
    panels = build_panels(platform.candles, pairs=platform.candles.pairs(), start=start, end=now)
    return {timeframe: [pair.since(instant_us(start)) for pair in panel.pairs] for timeframe, panel in panels.items()}
