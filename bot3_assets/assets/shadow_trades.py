"""Every signal of every feeder, simulated as a trade without an order."""

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
    """Simulated results of all signals of each feeder, at all times, so that scoring a feeder needs no exploration trades."""
    opened = platform.platform()
    added = opened.feeders.extend_shadow_trades()
    return dg.MaterializeResult(metadata={"added": dg.MetadataValue.int(added), **shadow_trades_metadata(opened)})


@dg.asset_check(
    asset=shadow_trades, blocking=True, description="Every figure is a number, no rate is 0, and none was known before its close."
)
def shadow_trades_are_lawful(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a value is not finite or was known before its close, so that feeders are not scored on it."""
    opened = platform.platform()
    return shadow_trades_verdict(opened.record.shadow_trades.frame(as_of=opened.clock.now(), run_modes=opened.settings.run_modes))


def shadow_trades_verdict(frame: "pd.DataFrame") -> dg.AssetCheckResult:
    """Count the rows that break a bound, per bound."""
    broken = {name: int((~np.isfinite(frame[name])).sum()) for name in _NUMBERS}
    broken |= {f"{name} at or below 0": int((frame[name] <= 0.0).sum()) for name in ("open_rate", "close_rate", "sigma")}
    broken["closed before it opened"] = int((frame["close_date"] < frame["open_date"]).sum())
    broken["known before it closed"] = int((frame["known_at"] < frame["close_date"]).sum())
    broken = {name: count for name, count in broken.items() if count}
    return dg.AssetCheckResult(passed=not broken, metadata={"broken": broken, "trades": len(frame)})


def shadow_trades_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the number of shadow trades of each feeder, and their mean move."""
    frame = platform.record.shadow_trades.frame(as_of=platform.clock.now(), run_modes=platform.settings.run_modes)
    by_feeder = frame.groupby("feeder_id")["close_move"].agg(["size", "mean"])
    lines = [f"| {feeder} | {int(row['size'])} | {row['mean']:.4%} |" for feeder, row in by_feeder.iterrows()]
    return {
        "dagster/row_count": dg.MetadataValue.int(len(frame)),
        "mean_move": dg.MetadataValue.float(float(frame["close_move"].mean())) if len(frame) else dg.MetadataValue.text("no trade yet"),
        "by_feeder": dg.MetadataValue.md("\n".join(["| feeder | n | mean move after costs |", "|---|---|---|", *lines])),
    }
