"""Closed trades of every bot, in the record."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import with_closes
from bot3_assets.partitions import bots
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.wiring import Platform

bot_trades = dg.AssetSpec(
    "bot_trades",
    description="Trades as each bot's own database holds them, written by the daemon (or by freqtrade); only read here.",
    partitions_def=bots,
    group_name="trades",
    kinds={"sqlite"},
    owners=["team:trading"],
)


@dg.asset(
    deps=[bot_trades],
    partitions_def=bots,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="trades",
    kinds={"python", "sqlite"},
    owners=["team:trading"],
    freshness_policy=with_closes,
)
def synced_trades(context: dg.AssetExecutionContext, platform: PlatformResource) -> None:
    """Every closed trade of a bot, once, with the run mode and account it was made in; history is told apart from paper."""
    opened = platform.platform()
    for bot in context.partition_keys:
        opened.sync(bot)
        context.add_asset_metadata(synced_trades_metadata(opened, bot), partition_key=bot)


@dg.asset_check(asset=synced_trades, blocking=True, description="The record holds exactly the closed trades that the bots' databases hold.")
def synced_trades_are_reconciled(platform: PlatformResource) -> dg.AssetCheckResult:
    """Refuse to learn from a record that lost trades or holds some twice."""
    return synced_trades_verdict(platform.platform())


def bot_trades_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return what a bot's own database holds, and which one that is."""
    store = platform.bot_store(bot)
    return {
        "dagster/row_count": dg.MetadataValue.int(store.count_closed(closed_since=None)),
        "open_trades": dg.MetadataValue.int(len(store.open_trades())),
        "store": dg.MetadataValue.text(store.store_id),
    }


def synced_trades_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return how many closed trades of a bot the record holds, by run mode."""
    counts = platform.record.counts()
    own = counts[counts["bot"] == bot]
    by_mode = {f"trades_{mode}": dg.MetadataValue.int(int(n)) for mode, n in zip(own["run_mode"], own["trades"].tolist(), strict=True)}
    last = own["last_close"].max() if len(own) else None
    return {
        "dagster/row_count": dg.MetadataValue.int(int(own["trades"].sum())),
        "deleted": dg.MetadataValue.int(int(own["deleted"].sum())),
        "last_close": dg.MetadataValue.text(last.isoformat() if last is not None else "none yet"),
        "revision": dg.MetadataValue.int(platform.record.revision()),
        **by_mode,
    }


def synced_trades_verdict(platform: "Platform") -> dg.AssetCheckResult:
    """Compare what the sources hold with what the record holds, bot by bot."""
    counts = platform.record.counts()
    differences = {}
    for bot in platform.bot_names:
        stores = (platform.bot_store(bot, read_only=True), platform.history_store(bot, read_only=True))
        held = sum(store.count_closed(closed_since=None) for store in stores)
        recorded = int(counts.loc[counts["bot"] == bot, "trades"].sum())
        if held != recorded:
            differences[bot] = {"sources": held, "record": recorded}
    return dg.AssetCheckResult(passed=not differences, metadata={"differences": differences})
