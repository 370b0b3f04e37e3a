"""Candles and features of several pairs over one span, computed once and shared by all feeders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.feeders.labels import BarrierLabels, Barriers, LabelCosts, barrier_labels
from bot3.market.features import CandleColumns, candle_columns, feature_matrix
from bot3.market.timeframes import timeframe_duration
from bot3.market.volatility import expected_sigma


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPanel:
    """Candles of one pair, and the features at their closes, float32 of shape (n, features)."""

    pair: str
    columns: CandleColumns
    features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.columns)

    def since(self, start_us: int) -> PairPanel:
        """Return the part of the panel whose candles open at or after an instant (microseconds since 1970)."""
        first = int(np.searchsorted(self.columns.open_us, start_us))
        cut = {field.name: getattr(self.columns, field.name)[first:] for field in fields(self.columns)}
        return PairPanel(pair=self.pair, columns=CandleColumns(**cut), features=self.features[first:])


class FeaturePanel:
    """Features of several pairs, and a cache of the labels requested so far.

    A row of features uses no later candle, and a label only candles of its own horizon. A panel may therefore extend beyond the time of a
    training, which selects the rows and labels known by then.

    Parameters
    ----------
    pairs : tuple of PairPanel
        Panels sorted by pair.
    timeframe : str
        Timeframe of all candles.
    """

    def __init__(self, pairs: tuple[PairPanel, ...], *, timeframe: str) -> None:
        self.pairs = pairs
        self.timeframe = timeframe
        self.step_us = timeframe_duration(timeframe) // timedelta(microseconds=1)
        self._labels: dict[tuple[str, Barriers, bool, LabelCosts], BarrierLabels] = {}

    def __len__(self) -> int:
        return sum(len(panel) for panel in self.pairs)

    def labels(self, panel: PairPanel, barriers: Barriers, *, is_short: bool, costs: LabelCosts) -> BarrierLabels:
        """Return a pair's labels; they are computed at the first request and cached."""
        key = (panel.pair, barriers, is_short, costs)
        if key not in self._labels:
            c = panel.columns
            self._labels[key] = barrier_labels(
                open_us=c.open_us,
                rates=(c.open, c.high, c.low, c.close),
                sigma=expected_sigma(c.close, horizon_candles=barriers.horizon_candles),
                barriers=barriers,
                is_short=is_short,
                costs=costs,
            )
        return self._labels[key]


def feature_panel(frames: Mapping[str, pd.DataFrame], *, timeframe: str) -> FeaturePanel:
    """Build the panel from candle frames by pair.

    Raises
    ------
    LearningError
        If all frames are empty.
    """
    if not sum(len(frame) for frame in frames.values()):
        raise LearningError(f"there is no {timeframe} candle to compute features from: fetch candles first")
    return FeaturePanel(tuple(_pair_panel(pair, frames[pair]) for pair in sorted(frames)), timeframe=timeframe)


def _pair_panel(pair: str, frame: pd.DataFrame) -> PairPanel:
    columns = candle_columns(frame)
    return PairPanel(pair=pair, columns=columns, features=feature_matrix(columns))
