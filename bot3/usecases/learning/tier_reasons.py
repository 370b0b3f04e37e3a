"""State in words why a feeder has its tier."""

from __future__ import annotations

from bot3.trading.recommendations import SHADOW_BELOW_CONFIDENCE, FeederScore, FeederTier

_HELD = "a score of the same day was in this tier"


def why_tier(score: FeederScore) -> str:
    """Return the reason for the tier of a score, such as "no shadow trade yet"."""
    if score.n == 0:
        return "no shadow trade yet"
    if score.tier is FeederTier.TRADE:
        return f"lower bound above 0, evidence for {score.open_directions.replace(' ', ' and ')}"
    if score.upper_bound < 0.0:
        return "upper bound below 0"
    if score.tier is FeederTier.SHADOW:
        is_low = score.confidence < SHADOW_BELOW_CONFIDENCE
        return f"P(expectancy > 0) is {score.confidence:.0%}, below {SHADOW_BELOW_CONFIDENCE:.0%}" if is_low else _HELD
    if score.lower_bound > 0.0:
        return f"lower bound above 0, but {_HELD if score.open_directions else 'evidence permits no direction yet'}"
    return "the interval contains 0"
