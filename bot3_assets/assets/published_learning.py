"""Asset of the record's copy in InfluxDB."""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.usecases.publishing.check import PublishedCheck
    from bot3.usecases.publishing.publish import PublishReport
    from bot3.wiring import Platform

NO_COPY = "no copy is configured: BOT3_INFLUX_URL is empty, and readers use the record itself"
REMEDY = "`bot3 publish check` lists all; then `bot3 publish replay-dead-letters` if points were rejected, else `bot3 publish run --all`"
_SHOWN = 20


@dg.asset(
    deps=["recommendations", "synced_trades"],
    group_name="learning",
    kinds={"influxdb"},
    owners=["team:trading"],
    freshness_policy=every_beat,
)
@tried_again()
def published_learning(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Parameters, scores, regime, recommendations, and closed paper and live trades in InfluxDB.

    For external readers, and for the daemon if BOT3_PARAMETERS_FROM selects it.
    """
    opened = platform.platform()
    return dg.MaterializeResult(metadata=published_metadata(opened, opened.publishing.publish()))


@dg.asset_check(
    asset=published_learning,
    blocking=True,
    description="Publications, values in force and trades in the copy equal those of the record.",
)
def published_equals_record(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if publications, values in force or trades are missing, extra or different in the copy; pass if there is no copy."""
    opened = platform.platform()
    if not opened.publishing.is_configured:
        return dg.AssetCheckResult(passed=True, metadata={"note": NO_COPY})
    return published_verdict(opened.publishing.check(now=opened.clock.now()))


def published_metadata(platform: "Platform", report: "PublishReport | None") -> dict[str, dg.MetadataValue]:
    """Return the counts of one publishing step, and the bucket of learning; a note if the report is None (no copy is configured)."""
    if report is None:
        return {"note": dg.MetadataValue.text(NO_COPY)}
    return {
        "writes": dg.MetadataValue.int(report.writes),
        "points": dg.MetadataValue.int(report.points),
        "deleted": dg.MetadataValue.int(report.deleted),
        "refused": dg.MetadataValue.int(report.refused),
        "expired": dg.MetadataValue.int(report.expired),
        "revision": dg.MetadataValue.int(platform.record.revision() if report.revision is None else report.revision),
        "bucket": dg.MetadataValue.text(platform.settings.influx_bucket),
    }


def published_verdict(found: "PublishedCheck", *, republished: str = "", is_again: bool = False) -> dg.AssetCheckResult:
    """Pass if copy and record are equal; else report up to twenty differences of each kind, and a remedy.

    Parameters
    ----------
    republished : str
        Text about what the copy had lost when the record was last published again because of it; "" if it never was.
    is_again : bool
        True if the record is being published again because of this difference; then the result contains no remedy.
    """
    notes = {"published_again": republished} if republished else {}
    if not found.is_equal and not is_again:
        notes["remedy"] = REMEDY
    return dg.AssetCheckResult(
        passed=found.is_equal,
        metadata={
            "missing_publications": [f"{head.noun} {head.version}" for head in found.missing[:_SHOWN]],
            "extra_publications": [f"{head.noun} {head.version}" for head in found.extra[:_SHOWN]],
            "differing": list(found.differing),
            "waiting": found.waiting,
            "trades": {
                bot: {"record": trades.record, "published": trades.published}
                | {word: list(getattr(trades, word)[:_SHOWN]) for word in ("missing", "extra", "changed")}
                for bot, trades in found.trades.items()
            },
            **notes,
        },
    )


def republished_text(found: "PublishedCheck", *, at: datetime) -> str:
    """Return a text with the numbers of publications and trades that the copy had lost, and the time at which this was found."""
    trades = sum(len(check.missing) + len(check.changed) for check in found.trades.values())
    what = [f"{len(found.missing)} publications", f"{trades} trades"]
    if found.differing:
        what.append(f"what is in force of {' and '.join(found.differing)}")
    lost = ", ".join(what)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC: InfluxDB had lost or changed {lost}; the whole record was queued to be published again"


def not_compared(waiting: int, *, for_s: float) -> dg.AssetCheckResult:
    """Return a failed check (a warning): for `for_s` seconds every comparison was invalid because the record was being written."""
    note = f"not compared for {for_s / 60.0:.0f} minutes: the record was being written at every attempt"
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, metadata={"note": note, "waiting": waiting})
