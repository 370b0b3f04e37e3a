"""Asset of the candles that all other assets are computed from."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bot3.market.timeframes import timeframe_duration
from bot3.market.weeks import week_of
from bot3.usecases.foreign_text import plain
from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.market.candles import CandleReport
    from bot3.ports.candles import CandleReader
    from bot3.wiring import Platform

_GATED = timedelta(days=7)


@dg.asset(
    group_name="market",
    kinds={"pandas", "parquet"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
def candles(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Validated candles of every pair, 5m by default; a run validates the last week of market time again."""
    return dg.MaterializeResult(metadata=candles_metadata(platform.platform()), data_version=candles_version(platform.platform()))


@dg.asset_check(
    asset=candles, blocking=True, description="Every pair has candles of the last week; none is repeated, unclosed or off its grid."
)
def candles_are_lawful(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if the last week of a pair's candles is empty or had rows that validation dropped or corrected."""
    return candles_verdict(gate_reports(platform.platform()))


@dg.asset_check(
    asset=candles, blocking=True, description="Candles are not older than BOT3_MAX_CANDLE_AGE_MINUTES: no trade is opened on older ones."
)
def candles_are_fresh(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a pair has no recent candle: as an error if no pair has one, else as a warning, because that pair is not traded."""
    return candles_age(platform.platform())


def candles_version(platform: "Platform") -> dg.DataVersion:
    """Return the data version of the candles: it changes with their source and with each new market week, not with each candle."""
    source = platform.settings.candles or f"simulated-{platform.settings.market_seed}"
    return dg.DataVersion(f"{source}|{week_of(platform.clock.now())}")


def candles_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the numbers of valid and missing candles of the last week of market time, by pair."""
    reports = gate_reports(platform)
    rows = "\n".join(f"| {plain(r.pair)} | {r.rows_out} | {r.missing_candles} | {r.spikes} | {r.flat} |" for r in reports)
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(r.rows_out for r in reports)),
        "pairs": dg.MetadataValue.int(len(reports)),
        "missing_candles": dg.MetadataValue.int(sum(r.missing_candles for r in reports)),
        "market_time": dg.MetadataValue.text(platform.clock.now().isoformat()),
        "last_week": dg.MetadataValue.md(f"| pair | candles | missing | spikes | flat |\n|---|---|---|---|---|\n{rows}"),
    }


def candles_verdict(reports: "tuple[CandleReport, ...]") -> dg.AssetCheckResult:
    """Pass if every pair has candles and validation dropped or corrected no row; gaps, spikes and flat candles do not fail."""
    refused = {name: count for r in reports for name, count in r.findings().items() if name in _UNLAWFUL}
    empty = [r.pair for r in reports if not r.rows_out]
    return dg.AssetCheckResult(passed=not refused and not empty, metadata={"mended": refused, "pairs_without_candles": empty})


def candles_age(platform: "Platform") -> dg.AssetCheckResult:
    """Check that every pair has a candle that closed within BOT3_MAX_CANDLE_AGE_MINUTES (`freshness_verdict`)."""
    oldest = timedelta(minutes=platform.settings.max_candle_age_minutes)
    return freshness_verdict(platform.candles, timeframe=platform.settings.timeframe, now=platform.clock.now(), oldest=oldest)


def freshness_verdict(source: "CandleReader", *, timeframe: str, now: datetime, oldest: timedelta) -> dg.AssetCheckResult:
    """Pass if every pair has a candle that opened at most `oldest` and one candle before `now` and has closed; name the other pairs.

    The failure is an error if no pair has such a candle, else a warning.
    """
    start, pairs = now - oldest - timeframe_duration(timeframe), source.pairs()
    behind = [pair for pair in pairs if source.candles(pair, timeframe, start=start, end=now).empty]
    return dg.AssetCheckResult(
        passed=not behind,
        severity=dg.AssetCheckSeverity.ERROR if len(behind) == len(pairs) else dg.AssetCheckSeverity.WARN,
        metadata={"behind": behind, "pairs": len(pairs), "oldest_minutes": oldest / timedelta(minutes=1)},
    )


_UNLAWFUL = ("duplicates", "conflicting", "unclosed", "off_grid", "reordered", "mixed_units")


def gate_reports(platform: "Platform") -> "tuple[CandleReport, ...]":
    """Validate every pair's candles of the last seven days of market time again; return one report per pair."""
    from bot3.usecases.audit.inspect_candles import inspect_candles  # noqa: PLC0415  # pandas

    now = platform.clock.now()
    return inspect_candles(platform.candles, timeframe=platform.settings.timeframe, start=now - _GATED, now=now)
