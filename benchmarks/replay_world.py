"""A synthetic market with trades to replay, the same for the same seed, with switching volatility, wicks, gaps and funding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.replay import ReplayCandles, TradePaths
from bot3.market.volatility import expected_sigma

PAIRS = 20
CANDLES = 105_120
HORIZON = 288
BINS = 3
GROUPS = PAIRS * 2 * BINS
_WARM_UP = 2_000
_REGIME_VOLATILITY = np.array([0.0005, 0.0008, 0.0015, 0.003])
_CANDLE_US = 300_000_000


@dataclass(frozen=True, kw_only=True)
class ReplayWorld:
    """Trades of many pairs, sorted by pair and entry, on the joined candles of all pairs.

    `plain` contains the same candles for the rivals: columns of float64 with the values of float32. `group` is the group of each trade.
    """

    candles: ReplayCandles
    plain: dict[str, NDArray[np.float64]]
    paths: TradePaths
    group: NDArray[np.int64]

    def take(self, n: int) -> ReplayWorld:
        """Return a world of n evenly spaced trades, so that many trades represent all groups."""
        rows = np.linspace(0, len(self.paths) - 1, n).astype(np.int64)
        return replace(self, paths=self.paths.take(rows), group=self.group[rows])


def replay_world(trades: int, *, seed: int = 7, pairs: int = PAIRS, candles: int = CANDLES) -> ReplayWorld:
    """Create a world with a number of trades, grouped by pair, direction and three bins of leverage (1 to 4, 4 to 7, 7 to 10)."""
    random = np.random.default_rng(seed)
    columns = [_pair(random, candles) for _ in range(pairs)]
    parts = [ReplayCandles.of(column) for column in columns]
    plain = {name: np.concatenate([getattr(column, name) for column in columns]) for name in ("open", "high", "low", "close")}
    sigma = np.concatenate([column.sigma for column in columns])
    pair = np.sort(random.integers(0, pairs, trades))
    place = random.integers(_WARM_UP, candles - HORIZON - 1, trades)
    order = np.lexsort((place, pair))
    entry = pair[order] * candles + place[order]
    leverage, is_short = random.uniform(1.0, 10.0, trades), random.random(trades) < 0.5
    group = pair[order] * 2 * BINS + is_short * BINS + np.minimum((leverage - 1.0) / 3.0, BINS - 1).astype(np.int64)
    paths = TradePaths(
        entry=entry,
        end=entry + HORIZON + 1,
        open_rate=plain["open"][entry],
        is_short=is_short,
        leverage=leverage,
        sigma=sigma[entry - 1],
    )
    return ReplayWorld(candles=ReplayCandles.joined(parts), plain=plain, paths=paths, group=group)


def _pair(random: np.random.Generator, n: int) -> CandleArrays:
    regime = np.repeat(random.integers(0, len(_REGIME_VOLATILITY), n // 500 + 1), 500)[:n]
    volatility = _REGIME_VOLATILITY[regime]
    jump = random.normal(0.0, 1.0, n) * volatility * (random.random(n) < 0.02)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 1.0, n) * volatility + jump))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(jump)
    wick = np.abs(random.normal(0.0, 0.4, (2, n))) * volatility
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(wick[0]),
        "low": np.minimum(opened, close) * np.exp(-wick[1]),
        "close": close,
    }
    single = {name: values.astype(np.float32).astype(np.float64) for name, values in prices.items()}
    rates = np.where(np.arange(n) % 96 == 0, random.normal(1e-4, 1e-4, n), 0.0)
    return CandleArrays(
        open_us=np.arange(n, dtype=np.int64) * _CANDLE_US,
        **single,
        sigma=expected_sigma(single["close"], horizon_candles=HORIZON),
        funding_sum=np.cumsum(rates),
        funding_us=np.zeros(0, dtype=np.int64),
    )
