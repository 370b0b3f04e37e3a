"""Feeder scores and tiers, and the recommendation of the meta-learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot3.errors import LearningError
from bot3.market.regimes import Regime
from bot3.trading.trades import DIRECTIONS

SHADOW_BELOW_CONFIDENCE = 0.2
"""Probability of a positive expectancy below which a feeder is in the tier shadow."""


class FeederTier(StrEnum):
    """Permitted use of a feeder's signals: trade, trade at the smallest order size (probe), or only evaluate (shadow)."""

    TRADE = "trade"
    PROBE = "probe"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederScore:
    """Estimated performance of a feeder from its shadow trades.

    `regime` is "*" for all regimes. `expectancy` and the ends of its 90 % interval, `lower_bound` and `upper_bound`, are pooled estimates,
    ratios of the price after costs; `mean_move` is the plain mean. Fields with `_window` cover only the days of the setting
    `lookback_days`. `mean_move` and `win_rate` are None without trades, those of the window with fewer than `min_trades_per_feeder` trades
    in it. `rank` 1 is best; feeders with equal estimates share a rank. `open_directions` are the directions whose evidence permits full
    size, separated by a space: empty for none.
    """

    feeder_id: str
    regime: str
    n: int
    n_eff: float
    mean_move: float | None
    expectancy: float
    lower_bound: float
    upper_bound: float
    confidence: float
    own_share: float
    win_rate: float | None
    n_window: int
    win_rate_window: float | None
    mean_move_window: float | None
    tier: FeederTier
    rank: int
    open_directions: str
    known_at: datetime
    version: str


def feeder_direction(feeder_id: str, *, is_short: bool) -> str:
    """Return the name of a feeder in a direction, "F01 long"."""
    return f"{feeder_id} {DIRECTIONS[is_short]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Recommendation for the learned bot until it expires; `learning.validity` defines the bounds of its values.

    Parameters
    ----------
    tiers : mapping
        Tier by feeder; a feeder that is not listed is a probe (`tier`).
    top_feeders, avoid_feeders : tuple of int
        Feeders 1 to 10, by rank: those of the tier `top_tier`, and those of the shadow tier.
    top_tier : FeederTier
        Tier of the top feeders: trade if any feeder has it, else probe; shadow if there are no top feeders.
    open_feeders : tuple of str
        Feeder and direction ("F01 long") whose evidence permits full size; all others trade the smallest size at most.
    open_bins : tuple of str
        Leverage bins that may be traded, lowest first, at least one. Leverage is chosen inside them.
    suggested_leverage_range : tuple of float
        Lowest and highest leverage of one run of adjacent open bins, both inside them, for readers that do not support `open_bins`.
    suggested_position_size_multiplier : float
        Factor on the volatility target's notional, above 0.
    """

    regime: Regime
    tiers: Mapping[str, FeederTier]
    top_feeders: tuple[int, ...]
    avoid_feeders: tuple[int, ...]
    top_tier: FeederTier
    open_feeders: tuple[str, ...]
    open_bins: tuple[str, ...]
    suggested_leverage_range: tuple[float, float]
    suggested_position_size_multiplier: float
    generated_at: datetime
    expires_at: datetime
    version: str
    parameters_version: str
    scores_version: str
    known_at: datetime
    computed_at: datetime

    def tier(self, feeder_id: str) -> FeederTier:
        """Return a feeder's tier; PROBE if the recommendation does not list the feeder."""
        return self.tiers.get(feeder_id, FeederTier.PROBE)

    def permits(self, feeder_id: str, *, is_short: bool) -> bool:
        """Return whether a feeder may trade at full size in a direction: its tier is trade, and its evidence there permits it."""
        return self.tier(feeder_id) is FeederTier.TRADE and feeder_direction(feeder_id, is_short=is_short) in self.open_feeders

    def require_fresh(self, *, now: datetime) -> None:
        """Raise LearningError if the recommendation has expired: `now` (market time) is at or after `expires_at`."""
        if now >= self.expires_at:
            raise LearningError(
                f"recommendation {self.version} expired at {self.expires_at.isoformat()}, the market time is {now.isoformat()}: publish it "
                "again with `bot3 learn run`"
            )
