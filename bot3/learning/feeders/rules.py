"""Entry rules of feeders: on which candles a rule enters a trade, and in which direction, by the features of the candle's close."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bot3.market.feature_layouts import FeatureLayout

TREND_SIGMAS = 0.5
"""Smallest trend of 28 days, in units of its own volatility, that the rule of trend follows."""
TOP_RANK = 0.375
"""Smallest distance of a rank from the middle at which the cross-sectional rule enters: one of eight pairs on each side."""
SHOCK_VOLUME = float(np.log(2.0))
SHOCK_SIGMAS = 1.0
"""A day is a volume shock if its volume is twice the usual one and its move is at least this large."""


class Rule(StrEnum):
    """Rule that selects the candles on which a feeder considers a trade."""

    BREAKOUT_10 = "breakout of 10 days"
    BREAKOUT_20 = "breakout of 20 days"
    BREAKOUT_40 = "breakout of 40 days"
    TREND_28 = "trend of 28 days"
    CROSS_SECTION_7 = "cross-sectional momentum of 7 days"
    VOLUME_SHOCK = "volume shock reversal"
    NONE = "none"

    @property
    def is_none(self) -> bool:
        """Return whether every candle is considered in both directions, so that only a forecast can choose."""
        return self is Rule.NONE


_BREAKOUT_DAYS = {Rule.BREAKOUT_10: 10, Rule.BREAKOUT_20: 20, Rule.BREAKOUT_40: 40}


def rule_rows(rule: Rule, features: NDArray[np.float32], layout: FeatureLayout, *, is_short: bool) -> NDArray[np.bool_]:
    """Return for each row whether a rule considers a trade in a direction; false where a feature that it needs is unknown."""
    side = -1.0 if is_short else 1.0
    known = ~np.isnan(features[:, layout.index("daily_sigma")])

    def column(name: str) -> NDArray[np.float32]:
        values: NDArray[np.float32] = features[:, layout.index(name)]
        return values

    with np.errstate(invalid="ignore"):  # a comparison with NaN is false, as documented
        if rule in _BREAKOUT_DAYS:
            found = column(f"{'below_low' if is_short else 'above_high'}_{_BREAKOUT_DAYS[rule]}d") > 0.0
        elif rule is Rule.TREND_28:
            found = (column("hour_of_day") == 0.0) & (side * column("trend_28d") > TREND_SIGMAS)
        elif rule is Rule.CROSS_SECTION_7:
            found = (column("hour_of_day") == 0.0) & (side * column("rank_trend_7d") >= TOP_RANK)
        elif rule is Rule.VOLUME_SHOCK:
            found = (column("volume_24h") > SHOCK_VOLUME) & (-side * column("move_24h") > SHOCK_SIGMAS)
        else:
            found = known
    considered: NDArray[np.bool_] = found & known
    return considered
