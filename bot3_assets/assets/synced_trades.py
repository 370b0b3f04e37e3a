"""Assets of the bots' own databases, and of their closed trades in the record."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3.errors import DataError
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.foreign_sources import reachable, trouble_of
from bot3.usecases.learning.sync_trades import reconcile
from bot3_assets.freshness import with_closes
from bot3_assets.partitions import bots
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot3.usecases.learning.sync_trades import Reconciliation, TradeSync
    from bot3.wiring import Platform

_NAMED = 1_000
"""Maximum number of trade ids in the metadata; the counts include all trades."""

bot_trades = dg.AssetSpec(
    "bot_trades",
    description="Trades in each bot's own database, written by the daemon (or by freqtrade); Dagster only reads them.",
    partitions_def=bots,
    group_name="trades",
    kinds={"sqlite"},
    owners=["team:trading"],
    freshness_policy=with_closes,
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
    """Every closed trade of a bot, once, with its run mode (backtest, paper or live) and account."""
    opened = platform.platform()
    troubles = []
    for bot in context.partition_keys:
        try:
            changed = {name: dg.MetadataValue.int(count) for name, count in _changes(opened.steps.sync(bot)).items()}
        except DataError as error:
            # An unavailable database of one bot must not block the trades of the other bots.
            troubles.append(f"{bot}: {error}")
            continue
        context.add_asset_metadata({**synced_trades_metadata(opened, bot), **changed}, partition_key=bot)
    if troubles:
        raise dg.Failure("not synced: " + "; ".join(troubles))


@dg.asset_check(asset=synced_trades, blocking=True, description="The record and the bots' databases have equally many closed trades.")
def synced_trades_are_reconciled(context: dg.AssetCheckExecutionContext, platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if the record and a bot's databases have different numbers of closed trades of a run mode, or (a warning) one cannot be read.

    A run of one partition checks that bot only.
    """
    bot = context.run.tags.get("dagster/partition")
    return synced_trades_verdict(platform.platform(), bots=None if bot is None else [bot])


def bot_trades_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return the names of a bot's databases (without its backtest history), and their numbers of closed and open trades.

    If one cannot be read, the reason is returned instead of the numbers.
    """
    own = [source for source in platform.sources([bot]) if source.run_mode is not RunMode.BACKTEST]
    readable = [source.reader for source in reachable(own)]
    told: dict[str, dg.MetadataValue] = {"store": dg.MetadataValue.text(", ".join(source.reader.store_id for source in own))}
    if foreign := [entry for entry in platform.fleet_bots if entry.name == bot]:
        told["databases"] = dg.MetadataValue.text(", ".join(entry.shown for entry in foreign))
        told["directions"] = dg.MetadataValue.text(", ".join(sorted({side for entry in foreign for side in entry.directions})))
    if len(readable) < len(own):
        troubles = [getattr(source.reader, "trouble", None) for source in own if source.reader not in readable]
        return told | {"not_read": dg.MetadataValue.text("; ".join(map(str, troubles)))}
    return told | {
        "dagster/row_count": dg.MetadataValue.int(sum(reader.count_closed(closed_since=None) for reader in readable)),
        "open_trades": dg.MetadataValue.int(sum(len(reader.open_trades()) for reader in readable)),
    }


def synced_trades_metadata(platform: "Platform", bot: str) -> dict[str, dg.MetadataValue]:
    """Return the numbers of a bot's closed trades in the record, by run mode, and the last close.

    Also the numbers of deleted trades, and of trades with several orders, which are not learned from.
    """
    counts = platform.record.trades.counts()
    own = counts[counts["bot"] == bot]
    by_mode = {f"trades_{mode}": dg.MetadataValue.int(int(n)) for mode, n in zip(own["run_mode"], own["trades"].tolist(), strict=True)}
    last = own["last_close"].max() if len(own) else None
    return {
        "dagster/row_count": dg.MetadataValue.int(int(own["trades"].sum())),
        "deleted": dg.MetadataValue.int(int(own["deleted"].sum())),
        "several_orders_not_learned_from": dg.MetadataValue.int(int(own["several_orders"].sum())),
        "last_close": dg.MetadataValue.text(last.isoformat() if last is not None else "none yet"),
        "revision": dg.MetadataValue.int(platform.record.revision()),
        **by_mode,
    }


def synced_trades_verdict(platform: "Platform", *, bots: "Sequence[str] | None" = None) -> dg.AssetCheckResult:
    """Pass if the sources of some bots (None: all) and the record have the same number of trades per run mode; name the differing ones.

    If the only problem is a source that cannot be read, the failure is a warning, so that it does not block learning from other bots.
    """
    differences: dict[str, object] = {}
    unread: dict[str, object] = {}
    for source in platform.sources(bots):
        name = f"{source.reader.bot} {source.run_mode}"
        if (trouble := trouble_of(source.reader)) is not None:
            unread[name] = trouble
            continue
        compared = reconcile(source.reader, platform.record.trades, run_mode=source.run_mode)
        if not compared.is_reconciled:
            differences[name] = _difference(compared)
    return dg.AssetCheckResult(
        passed=not differences and not unread,
        severity=dg.AssetCheckSeverity.WARN if unread and not differences else dg.AssetCheckSeverity.ERROR,
        metadata={"differences": differences, "not_read": unread},
    )


def _difference(compared: "Reconciliation") -> dict[str, object]:
    return {
        "source": compared.source_count,
        "record": compared.record_count,
        "missing_ids": [trade_id for trade_id, _ in compared.missing[:_NAMED]],
        "missing": len(compared.missing),
        "surplus_ids": [trade_id for trade_id, _ in compared.surplus[:_NAMED]],
        "surplus": len(compared.surplus),
    }


def _changes(syncs: "Sequence[TradeSync]") -> dict[str, int]:
    return {f"rows_{name}": sum(getattr(sync.outcome, name) for sync in syncs) for name in ("inserted", "updated", "deleted")}
