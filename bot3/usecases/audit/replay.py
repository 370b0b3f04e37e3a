"""Replay an audit's trades with one entry under given stops and targets, and check whether the candles match the trades."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.parameters.learner import LearningSettings
from bot3.learning.replay.candle_arrays import CandleArrays, candle_arrays
from bot3.learning.replay.entry_fit import INSIDE, OUTSIDE, entry_fit
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts, TradePaths
from bot3.learning.replay.replay import outcomes
from bot3.market.instants import microseconds
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.trading.exits import LARGEST_FALL
from bot3.trading.parameters import ParameterSet
from bot3.trading.units import move_of_profit, move_of_stake, stop_inside_liquidation
from bot3.usecases.audit.report import CandleFit

_SHIFTS = range(-14, 15)
_FEW_OUTSIDE = 0.05
"""Highest share of entries outside their candles at which the dates are considered to match."""
_MIN_ENTRIES = 20
"""Minimum number of entries for which a shift is searched: fewer match one of many shifts by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCandles:
    """Candles of the traded pairs as arrays, the duration of one in microseconds (`step_us`), and the horizon in candles."""

    by_pair: dict[str, CandleArrays]
    step_us: int
    horizon_candles: int

    @classmethod
    def of(cls, by_pair: dict[str, CandleArrays], *, settings: LearningSettings) -> Self:
        """Return the candles with the step and horizon of the settings."""
        step = timeframe_duration(settings.timeframe)
        return cls(by_pair=by_pair, step_us=step // timedelta(microseconds=1), horizon_candles=int(settings.horizon / step))

    @property
    def due_after_us(self) -> int:
        """Return how long after its entry a trade's whole horizon is known, in microseconds: the horizon and one candle."""
        return (self.horizon_candles + 1) * self.step_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A stop and a target per trade, moves of the price before fees; stops below 0, targets above 0 (infinity: no target)."""

    stop_move: NDArray[np.float64]
    take_profit_move: NDArray[np.float64]


def read_candles(candles: CandleReader, pair: str, *, settings: LearningSettings, until: datetime) -> CandleArrays:
    """Return a pair's candles and funding from its first candle to those closed by `until`. Raises CandleError if there are no candles."""
    start = candles.span(pair, settings.timeframe)[0]
    horizon = int(settings.horizon / timeframe_duration(settings.timeframe))
    frame = candles.candles(pair, settings.timeframe, start=start, end=until)
    return candle_arrays(frame, candles.funding(pair, start=start, end=until), horizon_candles=horizon)


def static_levels_of(trades: pd.DataFrame, *, settings: LearningSettings) -> Levels:
    """Return each trade's levels under the static settings: the stop is a loss before fees, the target a profit after them.

    A stop beyond the liquidation rate is moved inside it.
    """
    fee, pairs = settings.costs.taker_fee, zip(trades["leverage"].tolist(), trades["is_short"].tolist(), strict=True)
    stop, target = settings.static_stop_loss, settings.static_take_profit
    levels = [
        (
            _stop(move_of_stake(stop, leverage=leverage), leverage=leverage, is_short=is_short, costs=settings.costs),
            move_of_profit(target, leverage=leverage, is_short=is_short, fee_open=fee, fee_close=fee),
        )
        for leverage, is_short in pairs
    ]
    return _levels(levels)


def learned_levels_of(trades: pd.DataFrame, *, parameters: ParameterSet, costs: ReplayCosts) -> tuple[Levels, NDArray[np.float64]]:
    """Return each trade's levels by the learned parameters, scaled with its volatility at entry, and the expectancy of its parameter row.

    A stop beyond the liquidation rate is moved inside it, and a short's target is at most `LARGEST_FALL`. `trades` needs the column
    `sigma` (volatility at entry); expectancies are ratios of the price.
    """
    columns = (trades[name].tolist() for name in ("pair", "is_short", "leverage", "leverage_bin", "sigma"))
    levels, expected = [], []
    for pair, is_short, leverage, leverage_bin, sigma in zip(*columns, strict=True):
        row = parameters.find(pair=pair, is_short=is_short, leverage_bin=leverage_bin)
        target = row.target_sigma * sigma
        stop = _stop(row.stop_sigma * sigma, leverage=leverage, is_short=is_short, costs=costs)
        levels.append((stop, min(target, LARGEST_FALL) if is_short and math.isfinite(target) else target))
        expected.append(row.expectancy)
    return _levels(levels), np.array(expected, dtype=np.float64)


def replay_levels(candles: AuditCandles, trades: pd.DataFrame, levels: Levels, *, settings: LearningSettings) -> NDArray[np.float64]:
    """Return the net result of each trade under its own stop and target, a ratio of the price, in the order of the frame (with `sigma`)."""
    net = np.full(len(trades), np.nan)
    for pair, rows in _rows_by_pair(trades).items():
        net[rows] = _replay_pair(candles, pair, trades.iloc[rows], _levels_at(levels, rows), settings=settings)
    return net


def candle_fit(candles: AuditCandles, trades: pd.DataFrame) -> CandleFit:
    """Return the share of entries whose rate is outside their candle, and the shift of hours that moves nearly all of them inside.

    A shift is searched only if more than 5 % of at least 20 entries are outside. It is a number of hours from -14 to 14, or two that differ
    by one hour: winter and summer time of one zone.
    """
    fits = {hours: _fit_of_entries(candles, trades, hours=hours) for hours in _SHIFTS}
    outside = _outside_share(fits[0])
    entries = int((fits[0] >= INSIDE).sum())
    if outside <= _FEW_OUTSIDE or entries < _MIN_ENTRIES:
        return CandleFit(outside_share=outside, shift_hours=0)
    # A shift must not gain by moving entries to times without candles.
    full = [hours for hours in _SHIFTS if (fits[hours] >= INSIDE).sum() >= (1.0 - _FEW_OUTSIDE) * entries]
    best = min(full, key=lambda hours: (_outside_share(fits[hours]), abs(hours)))
    if _outside_share(fits[best]) <= _FEW_OUTSIDE:
        return CandleFit(outside_share=outside, shift_hours=best)
    both = {hours: _outside_share(np.minimum(fits[hours], fits[hours + 1])) for hours in full if hours + 1 in full}
    first = min(both, key=lambda hours: (both[hours], abs(hours)), default=0)
    if not both or both[first] > _FEW_OUTSIDE:
        return CandleFit(outside_share=outside, shift_hours=0)
    return CandleFit(outside_share=outside, shift_hours=first, has_summer_time=True)


def _outside_share(fit: NDArray[np.int8]) -> float:
    seen = int((fit >= INSIDE).sum())
    return int((fit == OUTSIDE).sum()) / seen if seen else 0.0


def _fit_of_entries(candles: AuditCandles, trades: pd.DataFrame, *, hours: int) -> NDArray[np.int8]:
    """Return `entry_fit` of each trade whose pair has candles, with the entry shifted by some hours."""
    shift = hours * int(timedelta(hours=1) / timedelta(microseconds=1))
    found = [np.zeros(0, dtype=np.int8)]
    for pair, rows in _rows_by_pair(trades).items():
        if pair in candles.by_pair:
            own = trades.iloc[rows]
            rates = own["open_rate"].to_numpy(dtype=np.float64)
            found.append(
                entry_fit(candles.by_pair[pair], open_us=microseconds(own["open_date"]) + shift, open_rate=rates, candle_us=candles.step_us)
            )
    return np.concatenate(found)


def _rows_by_pair(trades: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    return {str(pair): np.asarray(rows, dtype=np.int64) for pair, rows in trades.groupby("pair", sort=True).indices.items()}


def _replay_pair(
    candles: AuditCandles, pair: str, trades: pd.DataFrame, levels: Levels, *, settings: LearningSettings
) -> NDArray[np.float64]:
    held, step = candles.by_pair[pair], candles.step_us
    opened = microseconds(trades["open_date"])
    sigma = trades["sigma"].to_numpy(dtype=np.float64)
    paths = TradePaths(
        entry=np.searchsorted(held.open_us, opened, side="right") - 1,
        end=np.searchsorted(held.open_us, opened // step * step + candles.horizon_candles * step, side="right"),
        open_rate=trades["open_rate"].to_numpy(dtype=np.float64),
        is_short=trades["is_short"].to_numpy(dtype=np.bool_),
        leverage=trades["leverage"].to_numpy(dtype=np.float64),
        sigma=sigma,
    )
    stop_sigma, target_sigma = -levels.stop_move / sigma, levels.take_profit_move / sigma
    found = outcomes(
        ReplayCandles.of(held),
        paths,
        stop_sigma=stop_sigma,
        target_sigma=target_sigma,
        costs=settings.costs,
        exit_rules=settings.exit_rules,
    )
    return found.net


def _stop(move: float, *, leverage: float, is_short: bool, costs: ReplayCosts) -> float:
    return stop_inside_liquidation(move, leverage=leverage, maintenance_margin_ratio=costs.maintenance_margin_ratio, is_short=is_short)


def _levels(levels: list[tuple[float, float]]) -> Levels:
    table = np.array(levels, dtype=np.float64).reshape(-1, 2)
    return Levels(stop_move=table[:, 0], take_profit_move=table[:, 1])


def _levels_at(levels: Levels, rows: NDArray[np.int64]) -> Levels:
    return Levels(stop_move=levels.stop_move[rows], take_profit_move=levels.take_profit_move[rows])
