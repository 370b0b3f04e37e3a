"""Read the candles and funding that features are computed from, and build the feature panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot3.learning.feeders.feature_panel import FeaturePanel, funding_arrays, hourly_panel, short_panel
from bot3.market.columns import CandleColumns, candle_columns
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME
from bot3.market.hourly_features import Funding
from bot3.market.hours import hourly_columns, joined_columns
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader

_WEEK = timedelta(days=7)
_HOUR = timedelta(hours=1)

Panels = Mapping[str, FeaturePanel]
"""Timeframe of features to their panel."""


def build_panel(candles: CandleReader, *, pairs: Sequence[str], start: datetime, end: datetime, timeframe: str) -> FeaturePanel:
    """Compute the features of the candles up to the last one closed by `end`, from the reach of a row before `start`.

    Pairs without candles are left out.

    Parameters
    ----------
    timeframe : str
        Timeframe of the features, a key of `LAYOUTS`.

    Raises
    ------
    CandleError
        If a pair's candles cannot be read.
    LearningError
        If no pair has candles.
    """
    first = start - LAYOUTS[timeframe].reach
    if timeframe == HOUR:
        hours = {pair: read_hours(candles, pair, start=first, end=end) for pair in pairs}
        hours = {pair: columns for pair, columns in hours.items() if len(columns)}
        return hourly_panel(hours, {pair: read_funding(candles, pair, start=first, end=end) for pair in hours})
    frames = {pair: candles.candles(pair, timeframe, start=first, end=end) for pair in pairs}
    frames = {pair: frame for pair, frame in frames.items() if len(frame)}
    return short_panel(frames, {pair: candles.funding(pair, start=first, end=end) for pair in frames})


def build_panels(candles: CandleReader, *, pairs: Sequence[str], start: datetime, end: datetime) -> Panels:
    """Build the panels of all timeframes. Raises as `build_panel`."""
    return {timeframe: build_panel(candles, pairs=pairs, start=start, end=end, timeframe=timeframe) for timeframe in LAYOUTS}


def read_hours(candles: CandleReader, pair: str, *, start: datetime, end: datetime) -> CandleColumns:
    """Read a pair's candles of one hour that open at or after `start` (rounded up to an hour) and are closed by `end`.

    They are aggregated from 5m candles; hours without a complete last 5m candle are taken from 1h candles, if the reader has them.

    Raises
    ------
    CandleError
        If the pair is unknown or its candles cannot be read.
    """
    start = start + -(start - datetime.min.replace(tzinfo=start.tzinfo)) % _HOUR
    step_us = timeframe_duration(SHORT_TIMEFRAME) // timedelta(microseconds=1)
    short = candles.candles(pair, SHORT_TIMEFRAME, start=start, end=end)
    hours = hourly_columns(candle_columns(short), step_us=step_us)
    if HOUR not in candles.timeframes(pair):
        return hours
    return joined_columns(hours, candle_columns(candles.candles(pair, HOUR, start=start, end=end)))


def read_funding(candles: CandleReader, pair: str, *, start: datetime, end: datetime) -> Funding:
    """Read the funding that features of candles from `start` to `end` need, from a week before. Raises as `CandleReader.funding`."""
    return funding_arrays(candles.funding(pair, start=start - _WEEK, end=end))
