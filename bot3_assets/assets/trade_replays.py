"""Asset of the trades' replays: the price moves after each trade's entry."""

from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from bot3_assets.freshness import with_closes
from bot3_assets.partitions import bots
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    import pandas as pd

    from bot3.wiring import Platform

_MOVES = ("mae_move", "mfe_move", "exit_move", "funding_move")


@dg.asset(
    deps=["synced_trades", "candles"],
    partitions_def=bots,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="trades",
    kinds={"numpy", "numba"},
    owners=["team:research"],
    freshness_policy=with_closes,
)
@tried_again()
def trade_replays(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """Each trade's price moves from its entry over the whole horizon, so that learning can evaluate other stops than the one in force."""
    opened = platform.platform()
    opened.steps.replay()
    for bot in context.partition_keys:
        context.add_asset_metadata(trade_replays_metadata(opened, bot), partition_key=bot)


@dg.asset_check(
    asset=trade_replays, blocking=True, description="Every complete replay has finite moves, in order, and a volatility above 0."
)
def replays_are_lawful(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a complete replay contains invalid numbers: a move that is not finite, a worst move above the best, no volatility."""
    opened = platform.platform()
    return replays_verdict(opened.record.replays.frame(as_of=None, run_modes=opened.settings.run_modes))


def replays_verdict(frame: "pd.DataFrame") -> dg.AssetCheckResult:
    """Pass if no complete replay breaks a bound; count those that do, by bound."""
    complete = frame[frame["state"] == "complete"]
    broken = {name: int((~np.isfinite(complete[name])).sum()) for name in _MOVES}
    broken["sigma not above 0"] = int((~(complete["sigma"] > 0.0)).sum())
    broken["worst above best"] = int((complete["mae_move"] > complete["mfe_move"]).sum())
    broken = {name: count for name, count in broken.items() if count}
    return dg.AssetCheckResult(passed=not broken, metadata={"broken": broken, "complete": len(complete)})


def trade_replays_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return the numbers of a bot's replays by state: complete, pending until the horizon ends, or not possible (with the reasons)."""
    # Counted by the database: this runs at every close, and a home contains tens of thousands of replays.
    counts = platform.record.replays.counts(bot=bot, run_modes=platform.settings.run_modes)
    states = {str(state): int(count) for state, count in counts.groupby("state")["replays"].sum().items()}
    reasons = {str(reason): int(count) for reason, count in counts.groupby("reason")["replays"].sum().items() if reason}
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(states.values())),
        "complete": dg.MetadataValue.int(states.get("complete", 0)),
        "pending": dg.MetadataValue.int(states.get("pending", 0)),
        "states": dg.MetadataValue.json(states),
        "reasons_left_out": dg.MetadataValue.json(reasons),
    }
