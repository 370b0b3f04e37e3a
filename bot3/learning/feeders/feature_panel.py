"""Candles and features of several pairs over one span, computed once and shared by all feeders of a timeframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.feeders.labels import Barriers, LabelCosts, Outcomes, trade_outcomes
from bot3.market.columns import CandleColumns, candle_columns
from bot3.market.cross_features import CROSS_NAMES, cross_features
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME, FeatureLayout
from bot3.market.features import feature_matrix
from bot3.market.hourly_features import OWN_NAMES, Funding, own_hourly_features
from bot3.market.indicators import Floats
from bot3.market.instants import microseconds
from bot3.market.timeframes import timeframe_duration

_TIMES_A_BLOCK = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPanel:
    """Candles and funding of one pair, and the features at the candles' closes, float32 of shape (n, features)."""

    pair: str
    columns: CandleColumns
    funding: Funding
    features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.columns)

    def since(self, start_us: int) -> PairPanel:
        """Return the part of the panel whose candles open at or after an instant (microseconds since 1970)."""
        first = int(np.searchsorted(self.columns.open_us, start_us))
        return replace(self, columns=self.columns.since(first), features=self.features[first:])


class FeaturePanel:
    """Features of several pairs, and a cache of the outcomes of trades requested so far.

    A row of features uses no later candle, and an outcome only candles of its own horizon. A panel may therefore extend beyond the time of
    a training, which selects the rows and outcomes known by then.

    Parameters
    ----------
    pairs : tuple of PairPanel
        Panels sorted by pair.
    timeframe : str
        Timeframe of all candles, a key of `LAYOUTS`.
    """

    def __init__(self, pairs: tuple[PairPanel, ...], *, timeframe: str) -> None:
        self.pairs = pairs
        self.timeframe = timeframe
        self.step_us = timeframe_duration(timeframe) // timedelta(microseconds=1)
        self._outcomes: dict[tuple[str, Barriers, bool, LabelCosts], Outcomes] = {}

    def __len__(self) -> int:
        return sum(len(panel) for panel in self.pairs)

    @property
    def layout(self) -> FeatureLayout:
        """Return the layout of the features."""
        return LAYOUTS[self.timeframe]

    def sigma(self, panel: PairPanel, *, horizon_candles: int) -> Floats:
        """Return the standard deviation of the log price over a horizon, as expected at each close; NaN if unknown."""
        daily = panel.features[:, self.layout.index("daily_sigma")].astype(np.float64)
        sigma: Floats = daily * np.sqrt(horizon_candles * self.step_us / 86_400e6)
        return sigma

    def outcomes(self, panel: PairPanel, barriers: Barriers, *, is_short: bool, costs: LabelCosts) -> Outcomes:
        """Return the outcomes of a pair's trades; they are computed at the first request and cached."""
        key = (panel.pair, barriers, is_short, costs)
        if key not in self._outcomes:
            c = panel.columns
            self._outcomes[key] = trade_outcomes(
                open_us=c.open_us,
                rates=(c.open, c.high, c.low, c.close),
                sigma=self.sigma(panel, horizon_candles=barriers.horizon_candles),
                barriers=barriers,
                is_short=is_short,
                costs=costs,
                funding=panel.funding,
            )
        return self._outcomes[key]


def short_panel(frames: Mapping[str, pd.DataFrame], funding: Mapping[str, pd.DataFrame]) -> FeaturePanel:
    """Build the panel of 5m features from candle and funding frames by pair.

    Raises
    ------
    LearningError
        If all candle frames are empty.
    """
    columns = {pair: candle_columns(frame) for pair, frame in frames.items()}
    _require_candles(columns, timeframe=SHORT_TIMEFRAME)
    panels = [
        PairPanel(pair=pair, columns=columns[pair], funding=funding_arrays(funding[pair]), features=feature_matrix(columns[pair]))
        for pair in sorted(columns)
    ]
    return FeaturePanel(tuple(panels), timeframe=SHORT_TIMEFRAME)


def hourly_panel(columns: Mapping[str, CandleColumns], funding: Mapping[str, Funding]) -> FeaturePanel:
    """Build the panel of hourly features from candles of one hour and funding by pair.

    Raises
    ------
    LearningError
        If no pair has a candle.
    """
    _require_candles(columns, timeframe=HOUR)
    pairs = sorted(columns)
    own = [own_hourly_features(columns[pair], funding[pair]) for pair in pairs]
    times = np.unique(np.concatenate([columns[pair].open_us for pair in pairs]))
    places = [np.searchsorted(times, columns[pair].open_us) for pair in pairs]
    others = [np.full((len(rows), len(CROSS_NAMES)), np.nan, dtype=np.float32) for rows in own]
    for start in range(0, len(times), _TIMES_A_BLOCK):
        block = np.full((min(_TIMES_A_BLOCK, len(times) - start), len(pairs), len(OWN_NAMES)), np.nan, dtype=np.float32)
        inside = [np.flatnonzero((place >= start) & (place < start + len(block))) for place in places]
        for index, rows in enumerate(inside):
            block[places[index][rows] - start, index] = own[index][rows]
        compared = cross_features(block, pairs)
        for index, rows in enumerate(inside):
            others[index][rows] = compared[places[index][rows] - start, index]
    panels = [
        PairPanel(pair=pair, columns=columns[pair], funding=funding[pair], features=np.hstack((own[index], others[index])))
        for index, pair in enumerate(pairs)
    ]
    return FeaturePanel(tuple(panels), timeframe=HOUR)


def last_hourly_rows(columns: Mapping[str, CandleColumns], funding: Mapping[str, Funding]) -> NDArray[np.float32]:
    """Compute the hourly features of the last candle of each pair, shape (pairs, features), pairs sorted.

    All pairs' last candles must be of the same hour. The rows equal those of `hourly_panel` at that hour, if each pair has its
    candles of the `reach` of the layout.
    """
    pairs = sorted(columns)
    own = np.vstack([own_hourly_features(columns[pair], funding[pair], first=len(columns[pair]) - 1) for pair in pairs])
    return np.hstack((own, cross_features(own[None], pairs)[0]))


def funding_arrays(frame: pd.DataFrame) -> Funding:
    """Return the arrays of a funding frame."""
    return microseconds(frame["time"]), frame["funding_rate"].to_numpy(dtype=np.float64)


def _require_candles(columns: Mapping[str, CandleColumns], *, timeframe: str) -> None:
    if not sum(len(each) for each in columns.values()):
        raise LearningError(f"there is no {timeframe} candle to compute features from: fetch candles first")
