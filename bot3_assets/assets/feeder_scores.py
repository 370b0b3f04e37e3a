"""Asset of the feeders' scores, which determine how each feeder's signals may be used."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3.trading.signals import FEEDER_IDS
from bot3_assets.freshness import every_beat
from bot3_assets.plots import Interval, plot_intervals
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.trading.recommendations import FeederScore
    from bot3.wiring import Platform


@dg.asset(
    deps=["shadow_trades", "regime_state"],
    group_name="learning",
    kinds={"numpy", "sqlite"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
@tried_again()
def feeder_scores(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Results of each feeder's shadow trades after costs, pooled over feeders and regimes, with bounds and a tier."""
    opened = platform.platform()
    opened.steps.score_feeders()
    return dg.MaterializeResult(metadata=feeder_scores_metadata(opened))


@dg.asset_check(asset=feeder_scores, blocking=True, description="Each of the ten feeders has a score over all regimes.")
def every_feeder_is_scored(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a feeder has no score, so that no recommendation is made without it."""
    opened = platform.platform()
    return feeder_scores_verdict(opened.record.feeder_scores.as_of(opened.clock.now()))


def feeder_scores_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the published scores over all regimes, best feeder first."""
    overall = sorted((s for s in platform.record.feeder_scores.as_of(platform.clock.now()) if s.regime == "*"), key=lambda s: s.rank)
    lines = [
        f"| {s.rank} | {s.feeder_id} | {s.tier} | {s.n} | {s.n_eff:.0f} | {s.expectancy:.3%} ({s.lower_bound:.3%} to {s.upper_bound:.3%}) |"
        for s in overall
    ]
    return {
        "version": dg.MetadataValue.text(overall[0].version),
        "shadow_trades": dg.MetadataValue.int(sum(s.n for s in overall)),
        "feeders_that_trade": dg.MetadataValue.int(sum(s.tier == "trade" for s in overall)),
        "best_expectancy": dg.MetadataValue.float(overall[0].expectancy),
        "intervals": plot_intervals(
            [Interval(label=s.feeder_id, low=s.lower_bound, mark=s.expectancy, high=s.upper_bound) for s in overall],
            title="expectancy, 90 %",
        ),
        "ranking": dg.MetadataValue.md(
            "\n".join(["| rank | feeder | tier | n | n eff | expectancy (90 %) |", "|---|---|---|---|---|---|", *lines])
        ),
    }


def feeder_scores_verdict(scores: "tuple[FeederScore, ...]") -> dg.AssetCheckResult:
    """Pass if all ten feeders have a score over all regimes whose expectancy is within its bounds; name the others."""
    overall = {s.feeder_id: s for s in scores if s.regime == "*"}
    missing = sorted(set(FEEDER_IDS) - set(overall))
    crossed = [s.feeder_id for s in overall.values() if not s.lower_bound <= s.expectancy <= s.upper_bound]
    return dg.AssetCheckResult(passed=not missing and not crossed, metadata={"missing": missing, "bounds_crossed": crossed})
