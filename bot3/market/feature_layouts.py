"""The features of each timeframe: their names in order, their mirror, and the candles that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from bot3.market.cross_features import HOURLY_MIRROR, HOURLY_NAMES
from bot3.market.features import FEATURE_MIRROR, FEATURE_NAMES, FEATURE_REACH_CANDLES, FEATURE_WARM_UP_CANDLES
from bot3.market.hourly_features import HOURLY_REACH_HOURS, HOURLY_WARM_UP, HOURLY_WINDOW
from bot3.market.mirrors import Mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLayout:
    """Features of a timeframe.

    Parameters
    ----------
    warm_up_candles : int
        A row with fewer candles before it has no features.
    window_candles : int
        Number of candles, the row's own included, from which a row is computed; more of them do not change it.
    reach : timedelta
        Time before a row's close from which candles are used; earlier ones do not change the row.
    """

    names: tuple[str, ...]
    mirror: Mirror
    warm_up_candles: int
    window_candles: int
    reach: timedelta

    def index(self, name: str) -> int:
        """Return the column of a feature. Raises ValueError for an unknown one."""
        return self.names.index(name)


SHORT_TIMEFRAME, HOUR = "5m", "1h"

LAYOUTS: Mapping[str, FeatureLayout] = MappingProxyType(
    {
        SHORT_TIMEFRAME: FeatureLayout(
            names=FEATURE_NAMES,
            mirror=FEATURE_MIRROR,
            warm_up_candles=FEATURE_WARM_UP_CANDLES,
            window_candles=FEATURE_WARM_UP_CANDLES + 1,
            reach=FEATURE_REACH_CANDLES * timedelta(minutes=5),
        ),
        HOUR: FeatureLayout(
            names=HOURLY_NAMES,
            mirror=HOURLY_MIRROR,
            warm_up_candles=HOURLY_WARM_UP,
            window_candles=HOURLY_WINDOW,
            reach=HOURLY_REACH_HOURS * timedelta(hours=1),
        ),
    }
)
"""Timeframe of features to their layout."""
