"""Asset of the shadow trades: the feeders' signals, simulated as trades without orders."""

from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    import pandas as pd

    from bot3.wiring import Platform

_NUMBERS = ("open_rate", "close_rate", "close_profit", "close_move", "sigma", "confidence", "leverage")


@dg.asset(
    deps=["feeder_signals", "candles"],
    group_name="feeders",
    kinds={"numba", "sqlite"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
@tried_again()
def shadow_trades(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Simulated trades of each feeder's signals, whether traded or not, so that scoring a feeder requires no real trades."""
    opened = platform.platform()
    added = opened.feeders.extend_shadow_trades()
    return dg.MaterializeResult(metadata={"added": dg.MetadataValue.int(added), **shadow_trades_metadata(opened)})


@dg.asset_check(
    asset=shadow_trades, blocking=True, description="Every value is finite, rates and volatility are above 0, none was known early."
)
def shadow_trades_are_lawful(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a shadow trade has a value that is not finite, a rate or volatility not above 0, or wrong times: no score is based on it."""
    opened = platform.platform()
    return shadow_trades_verdict(opened.record.shadow_trades.frame(as_of=opened.clock.now(), run_modes=opened.settings.run_modes))


def shadow_trades_verdict(frame: "pd.DataFrame") -> dg.AssetCheckResult:
    """Pass if no row breaks a bound; count the rows that do, by bound."""
    broken = {name: int((~np.isfinite(frame[name])).sum()) for name in _NUMBERS}
    broken |= {f"{name} at or below 0": int((frame[name] <= 0.0).sum()) for name in ("open_rate", "close_rate", "sigma")}
    broken["closed before it opened"] = int((frame["close_date"] < frame["open_date"]).sum())
    broken["known before it closed"] = int((frame["known_at"] < frame["close_date"]).sum())
    broken = {name: count for name, count in broken.items() if count}
    return dg.AssetCheckResult(passed=not broken, metadata={"broken": broken, "trades": len(frame)})


def shadow_trades_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the number of shadow trades of each feeder, and their mean net result as a ratio of the price."""
    frame = platform.record.shadow_trades.frame(as_of=platform.clock.now(), run_modes=platform.settings.run_modes)
    by_feeder = frame.groupby("feeder_id")["close_move"].agg(["size", "mean"])
    lines = [f"| {feeder} | {int(row['size'])} | {row['mean']:.4%} |" for feeder, row in by_feeder.iterrows()]
    return {
        "dagster/row_count": dg.MetadataValue.int(len(frame)),
        "mean_move": dg.MetadataValue.float(float(frame["close_move"].mean())) if len(frame) else dg.MetadataValue.text("no trade yet"),
        "by_feeder": dg.MetadataValue.md("\n".join(["| feeder | n | mean move after costs |", "|---|---|---|", *lines])),
    }
