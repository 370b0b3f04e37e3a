"""Table of the ten feeders, which differ in their rule, in their horizon, and in the timeframe of their features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from bot3.errors import LearningError
from bot3.learning.feeders.labels import Barriers
from bot3.learning.feeders.rules import Rule
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME, FeatureLayout
from bot3.market.timeframes import timeframe_duration
from bot3.trading.horizons import Horizon
from bot3.trading.signals import FEEDER_IDS

STOP_SIGMA = 4.0
"""Stop of every label, in units of sigma over the horizon; the trade has no target and else ends at its horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederSpec:
    """Specification of one feeder.

    Parameters
    ----------
    timeframe : str
        Timeframe of its features, a key of `LAYOUTS`; it evaluates the closes of these candles.
    rule : Rule
        Selects the candles that it evaluates. With a rule its model is a meta-label, which says what the rule's trade is worth; without
        one it is a forecast of the move.
    horizon : Horizon
        Time at which its trade ends, and longest time that its trades are open.
    half_life_days : float
        Age at which the weight of a training row is halved.
    """

    feeder_id: str
    title: str
    timeframe: str
    rule: Rule
    horizon: Horizon
    half_life_days: float

    @property
    def layout(self) -> FeatureLayout:
        """Return the layout of its features."""
        return LAYOUTS[self.timeframe]

    @property
    def barriers(self) -> Barriers:
        """Return the trade that it predicts."""
        return Barriers(stop_sigma=STOP_SIGMA, horizon_candles=self.horizon.duration // timeframe_duration(self.timeframe))

    @property
    def horizon_days(self) -> float:
        """Return the horizon in days."""
        return self.horizon.duration / timedelta(days=1)


def _hourly(feeder_id: str, title: str, rule: Rule, horizon: Horizon) -> FeederSpec:
    return FeederSpec(feeder_id=feeder_id, title=title, timeframe=HOUR, rule=rule, horizon=horizon, half_life_days=1_000.0)


FEEDERS: Mapping[str, FeederSpec] = MappingProxyType(
    {
        spec.feeder_id: spec
        for spec in (
            _hourly("F01", "Breakout of 20 days, one day", Rule.BREAKOUT_20, Horizon.DAY),
            _hourly("F02", "Breakout of 10 days, three days", Rule.BREAKOUT_10, Horizon.THREE_DAYS),
            _hourly("F03", "Breakout of 20 days, three days", Rule.BREAKOUT_20, Horizon.THREE_DAYS),
            _hourly("F04", "Breakout of 40 days, seven days", Rule.BREAKOUT_40, Horizon.WEEK),
            _hourly("F05", "Trend of 28 days, three days", Rule.TREND_28, Horizon.THREE_DAYS),
            _hourly("F06", "Trend of 28 days, seven days", Rule.TREND_28, Horizon.WEEK),
            _hourly("F07", "Strongest and weakest of seven days, three days", Rule.CROSS_SECTION_7, Horizon.THREE_DAYS),
            FeederSpec(
                feeder_id="F08",
                title="Forecast of eight hours",
                timeframe=SHORT_TIMEFRAME,
                rule=Rule.NONE,
                horizon=Horizon.EIGHT_HOURS,
                half_life_days=250.0,
            ),
            _hourly("F09", "Forecast of a day", Rule.NONE, Horizon.DAY),
            _hourly("F10", "Volume shock reversal, one day", Rule.VOLUME_SHOCK, Horizon.DAY),
        )
    }
)


def find_feeder(feeder_id: str) -> FeederSpec:
    """Return the specification of a feeder. Raises LearningError for an unknown one."""
    spec = FEEDERS.get(feeder_id)
    if spec is None:
        raise LearningError(f"feeder {feeder_id!r} is unknown: it must be one of {', '.join(FEEDER_IDS)}")
    return spec
