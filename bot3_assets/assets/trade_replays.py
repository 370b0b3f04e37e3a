"""What each trade's candles did afterwards."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import with_closes
from bot3_assets.partitions import bots
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.wiring import Platform


@dg.asset(
    deps=["synced_trades", "candles"],
    partitions_def=bots,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="trades",
    kinds={"numpy", "numba"},
    owners=["team:research"],
    freshness_policy=with_closes,
)
def trade_replays(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """Each trade's candles from its entry over the whole horizon, so that learning is not blinded by the stop that was in force."""
    opened = platform.platform()
    opened.replay()
    for bot in context.partition_keys:
        context.add_asset_metadata(trade_replays_metadata(opened, bot), partition_key=bot)


def trade_replays_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return how many trades of a bot are replayed, wait for their horizon to end, or cannot be replayed."""
    # Counted by the database: this is told at every close, and a home holds tens of thousands.
    counts = platform.record.replay_counts(bot=bot, run_modes=platform.settings.run_modes)
    states = {str(state): int(count) for state, count in counts.groupby("state")["replays"].sum().items()}
    reasons = {str(reason): int(count) for reason, count in counts.groupby("reason")["replays"].sum().items() if reason}
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(states.values())),
        "complete": dg.MetadataValue.int(states.get("complete", 0)),
        "pending": dg.MetadataValue.int(states.get("pending", 0)),
        "states": dg.MetadataValue.json(states),
        "reasons_left_out": dg.MetadataValue.json(reasons),
    }
