"""Asset of the market's regime."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bot3.market.regimes import Regime
from bot3_assets.freshness import every_beat
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.market.regimes import RegimeState
    from bot3.wiring import Platform

_SUMS_TO_ONE = 1e-6


@dg.asset(
    deps=["candles"],
    group_name="market",
    kinds={"numpy", "sqlite"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
@tried_again()
def regime_state(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """The market regime as known at each time: probabilities of a detector without look-ahead, with hysteresis."""
    opened = platform.platform()
    opened.steps.detect_regimes()
    return dg.MaterializeResult(metadata=regime_state_metadata(opened))


@dg.asset_check(asset=regime_state, blocking=True, description="The regime's probabilities sum to 1, and it began before it was known.")
def regime_is_a_distribution(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if the published probabilities are no distribution, or the regime began after it was known."""
    opened = platform.platform()
    now = opened.clock.now()
    return regime_verdict(opened.record.regimes.as_of(now))


def regime_state_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return the published regime, its probabilities, and the share of each regime in the last day of market time."""
    now = platform.clock.now()
    state = platform.record.regimes.as_of(now)
    day = platform.record.regimes.frame(start=now - timedelta(days=1), end=now)
    shares = day["regime"].value_counts(normalize=True)

    return {
        "regime": dg.MetadataValue.text(str(state.regime)),
        "since": dg.MetadataValue.text(state.since.isoformat()),
        "known_at": dg.MetadataValue.text(state.known_at.isoformat()),
        "version": dg.MetadataValue.text(state.version),
        **{f"p_{name}": dg.MetadataValue.float(p) for name, p in zip(Regime, state.probabilities, strict=True)},
        "last_day": dg.MetadataValue.json({str(name): round(float(share), 4) for name, share in shares.items()}),
    }


def regime_verdict(state: "RegimeState") -> dg.AssetCheckResult:
    """Pass if the probabilities are at least 0 and sum to 1, and the regime began no later than it was known."""
    total = sum(state.probabilities)
    is_lawful = abs(total - 1.0) < _SUMS_TO_ONE and min(state.probabilities) >= 0.0 and state.since <= state.known_at
    return dg.AssetCheckResult(passed=is_lawful, metadata={"sum": total, "known_at": state.known_at.isoformat()})
