"""Every signal of every feeder, traded on paper's paper."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.wiring import Platform


@dg.asset(
    deps=["feeder_signals", "candles"],
    group_name="feeders",
    kinds={"numba", "sqlite"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
def shadow_trades(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """What each feeder's signals would have earned, all the time, so that trusting a feeder needs no exploration."""
    opened = platform.platform()
    added = opened.extend_shadow_trades()
    return dg.MaterializeResult(metadata={"added": dg.MetadataValue.int(added), **shadow_trades_metadata(opened)})


def shadow_trades_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return how many there are of each feeder and what they earned."""
    frame = platform.record.shadow_trades(as_of=platform.clock.now(), run_modes=platform.settings.run_modes)
    by_feeder = frame.groupby("feeder_id")["close_move"].agg(["size", "mean"])
    lines = [f"| {feeder} | {int(row['size'])} | {row['mean']:.4%} |" for feeder, row in by_feeder.iterrows()]
    return {
        "dagster/row_count": dg.MetadataValue.int(len(frame)),
        "mean_move": dg.MetadataValue.float(float(frame["close_move"].mean())) if len(frame) else dg.MetadataValue.text("no trade yet"),
        "by_feeder": dg.MetadataValue.md("\n".join(["| feeder | n | mean move after costs |", "|---|---|---|", *lines])),
    }
