"""Detect the market's regime by a forward filter over two axes, with hysteresis. No value uses later data.

The axes are the volatility of the equal-weight index (half-life a day) relative to its own trailing median, and the t-statistic of its
drift (half-life three days). Each axis gives evidence for the four regimes; a filter with a small switching probability propagates
probabilities forward; the regime in force changes only after another one had most of the probability for some hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError
from bot3.market.instants import instant_of
from bot3.market.regimes import Regime, RegimeState

_ORDER = tuple(Regime)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeSettings:
    """Settings of the regime filter; half-lives and windows in hours.

    `t_level` is the t-statistic at which a trend is as likely as none; volatility is high above `volatile_ratio` times the median of the
    trailing `usual_window`; `stay` is the probability that a regime lasts another hour; another regime must have more than `switch_at` of
    the probability for `switch_hours` in a row before it replaces the one in force.
    """

    volatility_half_life: float = 24.0
    trend_half_life: float = 72.0
    usual_window: int = 24 * 60
    volatile_ratio: float = 1.4
    warm_up: int = 72
    t_level: float = 1.25
    stay: float = 0.99
    switch_at: float = 0.6
    switch_hours: int = 6


def hourly_index(closes: Mapping[str, pd.DataFrame]) -> pd.Series[Any]:
    """Compute the log of the equal-weight index of some pairs by hour, indexed by the end of the hour (when it is known).

    Parameters
    ----------
    closes : mapping
        Candle frame by pair, with a timeframe below an hour. An hour is included once its last candle has closed; its return is the mean
        over the pairs that have candles in it.

    Raises
    ------
    CandleError
        If no pair has at least two candles.
    """
    returns = {}
    for pair, candles in closes.items():
        if len(candles) < 2:
            continue
        hour = candles["open_time"].dt.floor("h")
        last = candles["open_time"].iloc[-1]
        step = candles["open_time"].diff().min()
        close = pd.Series(np.log(candles["close"].to_numpy())).groupby(hour.to_numpy(dtype="datetime64[us]")).last()
        whole = close.index <= (last + step - pd.Timedelta(hours=1)).tz_localize(None)
        returns[pair] = close[whole].diff()
    if not returns:
        raise CandleError("the market's index cannot be computed, because no pair has candles: fetch candles first")
    mean = pd.DataFrame(returns).sort_index().mean(axis=1).fillna(0.0)
    index: pd.Series[Any] = mean.cumsum()
    index.index = pd.DatetimeIndex(index.index).tz_localize("UTC") + pd.Timedelta(hours=1)
    return index


def regime_states(index: pd.Series[Any], *, computed_at: datetime, settings: RegimeSettings | None = None) -> tuple[RegimeState, ...]:
    """Compute the regime state of every hour of an index from that hour and earlier ones only.

    The first `warm_up` hours have no state, because the volatility is not known yet.
    """
    settings = settings or RegimeSettings()
    probabilities, chosen, since = filter_regimes(np.asarray(index, dtype=np.float64), settings=settings)
    known_us = pd.DatetimeIndex(index.index).as_unit("us").asi8
    version = hashlib.blake2s(repr(settings).encode(), digest_size=12).hexdigest()
    return tuple(
        RegimeState(
            regime=_ORDER[chosen[i]],
            probabilities=_four(probabilities[i]),
            since=instant_of(int(known_us[since[i]])),
            known_at=instant_of(int(known_us[i])),
            computed_at=computed_at,
            version=version,
        )
        for i in range(settings.warm_up, len(index))
    )


def filter_regimes(
    log_index: NDArray[np.float64], *, settings: RegimeSettings
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each hour the probabilities, shape (n, 4) in the order of `Regime`, the regime in force, and the hour since when."""
    evidence = _evidence(log_index, settings)
    filtered: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]] = _filter(
        evidence, settings.stay, settings.switch_at, settings.switch_hours
    )
    return filtered


def _evidence(log_index: NDArray[np.float64], settings: RegimeSettings) -> NDArray[np.float64]:
    """Compute the unnormalised likelihood of the four regimes in each hour; shape (n, 4)."""
    returns = pd.Series(np.diff(log_index, prepend=log_index[:1]))
    variance = (returns**2).ewm(halflife=settings.volatility_half_life, adjust=True).mean()
    usual = variance.rolling(settings.usual_window, min_periods=settings.warm_up).median() * settings.volatile_ratio**2
    drift = returns.ewm(halflife=settings.trend_half_life).mean()
    spread = (returns**2).ewm(halflife=settings.trend_half_life).mean()
    weight = np.sqrt(settings.trend_half_life * 2.0 / np.log(2.0))
    t_statistic = (drift / np.sqrt(spread.clip(lower=1e-18)) * weight).fillna(0.0).to_numpy()
    ratio = np.log((variance.clip(lower=1e-18) / usual.clip(lower=1e-18)).fillna(0.5).to_numpy())
    volatile = 1.0 / (1.0 + np.exp(-np.clip(4.0 * ratio, -30.0, 30.0)))
    up = np.exp(np.clip(t_statistic - settings.t_level, -5.0, 5.0))
    down = np.exp(np.clip(-t_statistic - settings.t_level, -5.0, 5.0))
    calm = (1.0 - volatile) / (up + down + 1.0)
    # Hours overlap in both moving averages, so one hour is weak evidence: the likelihood is flattened by the exponent.
    evidence: NDArray[np.float64] = np.column_stack([up * calm, down * calm, calm, volatile]) ** 0.25
    return evidence


@numba.njit(cache=True)
def _filter(evidence: Any, stay: float, switch_at: float, switch_hours: int) -> Any:
    # Return (probabilities, regime in force, row in which it came into force) for each row. `evidence` is the likelihood of each regime.
    n, k = evidence.shape
    probabilities = np.empty((n, k))
    chosen = np.empty(n, dtype=np.int64)
    since = np.empty(n, dtype=np.int64)
    current = np.full(k, 1.0 / k)
    # Start in regime 2 (sideways). Count the consecutive hours in which one candidate has more than `switch_at` of the probability.
    regime, began, held, candidate = 2, 0, 0, 2
    for i in range(n):
        # Prediction (a regime stays with probability `stay`, else switches to each other one equally), then update by the evidence.
        total = 0.0
        for j in range(k):
            current[j] = (current[j] * (stay - (1.0 - stay) / (k - 1)) + (1.0 - stay) / (k - 1)) * evidence[i, j]
            total += current[j]
        for j in range(k):
            current[j] /= total
            probabilities[i, j] = current[j]
        best = int(np.argmax(current))
        # Hysteresis: another regime replaces the one in force after `switch_hours` hours as the same candidate.
        if best != regime and current[best] > switch_at:
            held = held + 1 if best == candidate else 1
            candidate = best
            if held >= switch_hours:
                regime, began, held = best, i, 0
        else:
            held = 0
        chosen[i], since[i] = regime, began
    return probabilities, chosen, since


def _four(row: NDArray[np.float64]) -> tuple[float, float, float, float]:
    bull, bear, sideways, volatile = (float(value) for value in row)
    return bull, bear, sideways, volatile
