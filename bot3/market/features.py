"""Model inputs at the close of a 5m candle: three families of scale-free features computed from one pair's own past.

Every feature is a ratio, a volatility, a move in units of its own volatility, or the time of day, so that one model can be trained on all
pairs. Windows count candles, not time: a gap is skipped, never filled. A row has features if `FEATURE_WARM_UP_CANDLES` candles precede it
within `FEATURE_REACH_CANDLES` candle durations; other rows are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bot3.market import indicators as ind
from bot3.market.columns import CandleColumns
from bot3.market.indicators import Floats
from bot3.market.instants import DAY_US
from bot3.market.mirrors import mirror_of

FEATURE_WARM_UP_CANDLES = (
    1_152  # 4 days of 5m: the longest window is 864, and an average that decays by 1/48 a candle has lost its first value to e^-20
)
FEATURE_REACH_CANDLES = FEATURE_WARM_UP_CANDLES + 1 + 288
"""Time before a row's close from which candles are used, in candle durations: one day of candles may be missing in it."""

_CANDLE_US = 300_000_000
_RETURNS = (1, 3, 6, 12, 24, 48, 96, 288, 864)

FEATURE_FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "volatility": (
            "daily_sigma",
            "volatility_12",
            "volatility_48",
            "volatility_week",
            "range_ratio",
            "trend_288",
            "day_sine",
            "day_cosine",
        ),
        "volume": (
            "volume_now",
            "volume_12",
            "volume_48",
            "money_flow_14",
            "money_flow_96",
            "accumulation_20",
            "signed_volume_12",
            "signed_volume_288",
            "vwap_gap_48",
            "vwap_gap_288",
            "impact_12",
        ),
        "momentum": (
            *(f"move_{lag}" for lag in _RETURNS),
            "acceleration_12",
            "directional_14",
            "aroon_48",
            "up_share_24",
            "below_high_288",
            "above_low_288",
        ),
    }
)
"""Mapping of each family to the names of its features."""

FEATURE_NAMES: tuple[str, ...] = tuple(name for names in FEATURE_FAMILIES.values() for name in names)
"""The features in order; `daily_sigma` is the standard deviation of a day's log price."""

FEATURE_MIRROR = mirror_of(
    FEATURE_NAMES,
    odd={
        *("trend_288", "money_flow_14", "money_flow_96", "accumulation_20", "signed_volume_12", "signed_volume_288"),
        *("vwap_gap_48", "vwap_gap_288", "acceleration_12", "directional_14", "aroon_48"),
        *(f"move_{lag}" for lag in _RETURNS),
    },
    swapped={"below_high_288": "above_low_288"},
    shares={"up_share_24"},
)


def feature_matrix(candles: CandleColumns) -> NDArray[np.float32]:
    """Compute the features as an array of shape (n, features), in the order of `FEATURE_NAMES`.

    Row i uses candles 0..i only. The first `FEATURE_WARM_UP_CANDLES` rows and those after a long gap are NaN, and so are single values
    where the denominator of a ratio is 0 or only a rounding error (a market without movement or volume).
    """
    out = np.full((len(candles), len(FEATURE_NAMES)), np.nan, dtype=np.float32)
    if len(candles) <= FEATURE_WARM_UP_CANDLES:
        return out
    for index, values in enumerate(_figures(candles)):
        out[FEATURE_WARM_UP_CANDLES:, index] = values[FEATURE_WARM_UP_CANDLES:]
    spans = candles.open_us[FEATURE_WARM_UP_CANDLES:] - candles.open_us[:-FEATURE_WARM_UP_CANDLES]
    out[FEATURE_WARM_UP_CANDLES:][spans >= FEATURE_REACH_CANDLES * _CANDLE_US] = np.nan
    return out


def last_features(candles: CandleColumns) -> NDArray[np.float32]:
    """Compute the features of the last candle, shape (features,); all are NaN if fewer than `FEATURE_WARM_UP_CANDLES` candles precede it.

    They equal the last row computed from a longer history to a relative 1e-4 (in practice about float32's rounding error): the influence
    of candles before the warm-up has decayed.
    """
    if len(candles) <= FEATURE_WARM_UP_CANDLES:
        return np.full(len(FEATURE_NAMES), np.nan, dtype=np.float32)
    return np.array([values[-1] for values in _figures(candles)], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """Inputs that several features share. Prices are divided by a power of two: TA-Lib treats values below 1e-14 as zero."""

    open_us: NDArray[np.int64]
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    log_close: Floats
    returns: Floats
    spread_288: Floats
    range: Floats
    range_96: Floats
    volume_288: Floats
    least_volume: Floats


def _figures(candles: CandleColumns) -> list[Floats]:
    basis = _basis(candles)
    with np.errstate(invalid="ignore"):  # comparisons with the NaN values of the warm-up
        families = {"volatility": _volatility, "volume": _volume, "momentum": _momentum}
        return [values for family in FEATURE_FAMILIES for values in families[family](basis)]


def _basis(candles: CandleColumns) -> _Basis:
    scale = ind.power_of_two_below(float(candles.close[0]))
    high, low, close = (values / scale for values in (candles.high, candles.low, candles.close))
    log_close = np.log(close)
    returns = ind.change(log_close, lag=1)
    returns[0] = 0.0
    true_range = ind.true_range(high, low, close)
    return _Basis(
        open_us=candles.open_us,
        high=high,
        low=low,
        close=close,
        volume=candles.volume,
        log_close=log_close,
        returns=returns,
        spread_288=ind.rolling_spread(returns, window=288),
        range=true_range,
        range_96=ind.rolling_mean(true_range, window=96),
        volume_288=ind.rolling_mean(candles.volume, window=288),
        least_volume=_least_volume(candles.volume),
    )


def _volatility(b: _Basis) -> list[Floats]:
    day = b.open_us % DAY_US / DAY_US * (2.0 * np.pi)
    return [
        np.where(b.spread_288 > ind.LEAST_SPREAD, b.spread_288 * np.sqrt(288.0), np.nan),
        ind.log_ratio(ind.rolling_spread(b.returns, window=12), b.spread_288),
        ind.log_ratio(ind.rolling_spread(b.returns, window=48), b.spread_288),
        ind.log_ratio(b.spread_288, ind.rolling_spread(b.returns, window=864)),
        ind.log_ratio(ind.rolling_mean(b.range, window=14), b.range_96),
        ind.ratio(ind.rolling_slope(b.log_close, window=288) * np.sqrt(288.0), b.spread_288),
        np.sin(day),
        np.cos(day),
    ]


def _volume(b: _Basis) -> list[Floats]:
    place = ind.ratio(2.0 * b.close - b.high - b.low, b.high - b.low, least=1e-12)
    accumulated = np.where(np.isnan(place), 0.0, place) * b.volume
    signed = np.sign(b.returns) * b.volume
    impact = ind.ratio(ind.rolling_sum(np.abs(b.returns), window=12), ind.rolling_sum(b.volume, window=12), least=b.least_volume)
    impact_288 = ind.ratio(ind.rolling_sum(np.abs(b.returns), window=288), b.volume_288 * 288.0, least=b.least_volume)
    return [
        np.log1p(ind.ratio(b.volume, b.volume_288, least=b.least_volume)),
        np.log1p(ind.ratio(ind.rolling_mean(b.volume, window=12), b.volume_288, least=b.least_volume)),
        np.log1p(ind.ratio(ind.rolling_mean(b.volume, window=48), b.volume_288, least=b.least_volume)),
        _money_flow(b, window=14),
        _money_flow(b, window=96),
        ind.ratio(ind.rolling_sum(accumulated, window=20), ind.rolling_sum(b.volume, window=20), least=b.least_volume),
        ind.ratio(ind.rolling_sum(signed, window=12), ind.rolling_sum(b.volume, window=12), least=b.least_volume),
        ind.ratio(ind.rolling_sum(signed, window=288), ind.rolling_sum(b.volume, window=288), least=b.least_volume),
        _vwap_gap(b, window=48),
        _vwap_gap(b, window=288),
        np.log1p(ind.ratio(impact, impact_288, least=0.0)),
    ]


def _momentum(b: _Basis) -> list[Floats]:
    move_12 = _move(b, lag=12)
    return [
        *(_move(b, lag=lag) for lag in _RETURNS),
        move_12 - ind.lagged(move_12, lag=12),
        ind.directional_balance(b.high, b.low, b.close, window=14),
        ind.aroon_balance(b.high, b.low, window=48),
        ind.rolling_mean((b.returns > 0.0).astype(np.float64), window=24),
        _in_days(np.log(ind.rolling_highest(b.high, window=288)) - b.log_close, b),
        _in_days(b.log_close - np.log(ind.rolling_lowest(b.low, window=288)), b),
    ]


def _least_volume(volume: Floats) -> Floats:
    """Return the volume that a running sum must exceed to be more than a rounding error; infinite if 288 candles have no volume."""
    highest = ind.rolling_highest(volume, window=288)
    return np.where(highest > 0.0, 1e-9 * highest, np.inf)


def _in_ranges(distance: Floats, b: _Basis) -> Floats:
    return ind.ratio(distance, b.range_96)


def _in_days(distance: Floats, b: _Basis) -> Floats:
    return ind.ratio(distance / np.sqrt(288.0), b.spread_288)


def _move(b: _Basis, *, lag: int) -> Floats:
    return ind.ratio(ind.change(b.log_close, lag=lag) / np.sqrt(lag), b.spread_288)


def _money_flow(b: _Basis, *, window: int) -> Floats:
    typical = (b.high + b.low + b.close) / 3.0
    flow = typical * b.volume
    turn = np.sign(np.diff(typical, prepend=typical[:1]))
    return ind.ratio(ind.rolling_sum(turn * flow, window=window), ind.rolling_sum(flow, window=window), least=b.least_volume)


def _vwap_gap(b: _Basis, *, window: int) -> Floats:
    paid = ind.rolling_sum((b.high + b.low + b.close) / 3.0 * b.volume, window=window)
    vwap = ind.ratio(paid, ind.rolling_sum(b.volume, window=window), least=b.least_volume)
    return _in_ranges(b.close - vwap, b)
