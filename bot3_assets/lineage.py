"""Report to Dagster, as asset materializations and check results, what was done outside a Dagster run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.assets.adaptive_params import adaptive_params_metadata, parameters_verdict
from bot3_assets.assets.synced_trades import bot_trades_metadata, synced_trades_metadata, synced_trades_verdict
from bot3_assets.assets.trade_replays import trade_replays_metadata

if TYPE_CHECKING:
    from bot3.wiring import Platform

REPORTED_BY = "reported_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Reports materializations and check results to a Dagster instance without a run.

    Parameters
    ----------
    source : str
        Name of the reporting component; stored in the metadata of every event, because these events belong to no run.
    """

    instance: dg.DagsterInstance
    source: str

    def materialized(self, asset: str, metadata: Mapping[str, dg.MetadataValue], *, partition: str | None = None) -> None:
        """Report that an asset, or one partition of it, was materialized."""
        told = {**metadata, REPORTED_BY: dg.MetadataValue.text(self.source)}
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=told, partition=partition))

    def checked(self, asset: str, check: str, result: dg.AssetCheckResult) -> None:
        """Report the result of a check."""
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check,
                passed=result.passed,
                metadata={**result.metadata, REPORTED_BY: dg.MetadataValue.text(self.source)},
                severity=result.severity,
                blocking=True,
            )
        )


def report_closes(lineage: Lineage, platform: "Platform", *, bots: Sequence[str]) -> None:
    """Report every asset from the bots' databases to the parameters, in the order of their dependencies, with current figures.

    All are reported, changed or not, so that Dagster shows none of them as out of date.
    """
    for bot in bots:
        lineage.materialized("bot_trades", bot_trades_metadata(platform, bot), partition=bot)
    for bot in bots:
        lineage.materialized("synced_trades", synced_trades_metadata(platform, bot), partition=bot)
    lineage.checked("synced_trades", "synced_trades_are_reconciled", synced_trades_verdict(platform))
    for bot in bots:
        lineage.materialized("trade_replays", trade_replays_metadata(platform, bot), partition=bot)
    now = platform.clock.now()
    lineage.materialized("adaptive_params", adaptive_params_metadata(platform))
    lineage.checked("adaptive_params", "parameters_are_lawful", parameters_verdict(platform.record.parameters.as_of(now), now=now))


def report_refusal(lineage: Lineage, platform: "Platform") -> None:
    """Report the current result of the check that compares bots' databases and record, after a learning step that failed."""
    lineage.checked("synced_trades", "synced_trades_are_reconciled", synced_trades_verdict(platform))
