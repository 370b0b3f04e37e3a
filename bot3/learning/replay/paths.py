"""Inputs of replay: candles of one or many pairs, the paths of trades over them, and trading costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.kernel import ROWS
from bot3.learning.replay.lanes import BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCosts:
    """Costs of one side: fees as ratios of its value, slippage as ratio of the price (`stop_slippage` is added to it at stops).

    Parameters
    ----------
    maintenance_margin_ratio : float
        Share of the position's value that the margin must cover; a trade below it is liquidated.
    target_rests : bool
        Whether the target is a limit order on the exchange: it pays the maker fee and no slippage if the price trades through it.
        Otherwise, and if the price only touches it or gaps over it at an open, the exit is a market order.
    """

    taker_fee: float = 0.0005
    maker_fee: float = 0.0002
    slippage: float = 0.0001
    stop_slippage: float = 0.0003
    maintenance_margin_ratio: float = 0.01
    target_rests: bool = False

    @property
    def round_trip(self) -> float:
        """Return the cost of an entry and an exit at market, ratio of the price; `open_rate` already contains the entry's slippage."""
        return 2.0 * self.taker_fee + self.slippage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCandles:
    """Candles of one pair, or of several pairs concatenated, in the format of the kernel.

    Parameters
    ----------
    prices : float32 array
        The rows of `kernel` concatenated: open, close, low, -high, and the minima of the last two over a block from each candle on.
        Type float32 halves the memory that a replay reads.
    funding : float64 array of shape (n,)
        Funding that a long position has paid up to and including the open of each candle, in quote per unit of base; below 0: received.
    """

    prices: NDArray[np.float32]
    funding: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.funding)

    @classmethod
    def of(cls, candles: CandleArrays) -> ReplayCandles:
        """Convert a pair's candles; funding is paid on the value at the candle's open, as in `trading.matching`."""
        paid = np.diff(candles.funding_sum, prepend=candles.funding_sum[:1]) * candles.open
        low, minus_high = candles.low.astype(np.float32), -candles.high.astype(np.float32)
        rows = [
            candles.open.astype(np.float32),
            candles.close.astype(np.float32),
            low,
            minus_high,
            _block_minima(low),
            _block_minima(minus_high),
        ]
        return cls(prices=_flat(rows), funding=np.cumsum(paid))

    @classmethod
    def joined(cls, parts: Sequence[ReplayCandles]) -> ReplayCandles:
        """Concatenate pairs: the indices of a path must be shifted by the number of candles before its own pair."""
        rows = [np.concatenate([part.row(row) for part in parts]) for row in range(ROWS)]
        return cls(prices=_flat(rows), funding=np.concatenate([part.funding for part in parts]))

    def row(self, row: int) -> NDArray[np.float32]:
        """Return one row of the prices, by its index in `kernel` (OPEN, CLOSE, LOW, ...)."""
        return self.prices[row * len(self) : (row + 1) * len(self)]


def _flat(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    # Padding: a block may be read beyond the end of the last row; matches there lie after every path and are ignored.
    return np.concatenate([*rows, np.zeros(BLOCK, dtype=np.float32)])


def _block_minima(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at each index the minimum of `BLOCK` numbers from there on (fewer at the end), by doubling the window."""
    least = numbers.copy()
    width = 1
    while width < BLOCK:
        if width < len(least):
            np.minimum(least[:-width], least[width:], out=least[:-width])
        width *= 2
    return least


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePaths:
    """Paths of N trades over candles.

    Parameters
    ----------
    entry, end : int64 arrays of shape (N,)
        Index of the candle that contains the entry, and of the candle after the horizon's last one. The path is entry + 1 up to end
        (excluded).
    open_rate, leverage, sigma : float64 arrays of shape (N,)
        Values of the trades; sigma is the standard deviation of the log price over the horizon, expected at entry.
    is_short : bool array of shape (N,)
    has_entry_candle : bool
        Whether the path begins with the entry's own candle, whose open is assumed to be the fill: valid for 1m candles only.

    Raises
    ------
    InvalidTradeError
        If lengths differ, a path is empty, or a number is invalid.
    """

    entry: NDArray[np.int64]
    end: NDArray[np.int64]
    open_rate: NDArray[np.float64]
    is_short: NDArray[np.bool_]
    leverage: NDArray[np.float64]
    sigma: NDArray[np.float64]
    has_entry_candle: bool = False

    def __post_init__(self) -> None:
        columns = (self.end, self.open_rate, self.is_short, self.leverage, self.sigma)
        if any(len(column) != len(self.entry) for column in columns):
            raise InvalidTradeError(f"columns of paths must have the same length, were {[len(self.entry), *map(len, columns)]}")
        if bool(((self.entry < 0) | (self.end <= self.entry + (not self.has_entry_candle))).any()):
            raise InvalidTradeError("a path must contain at least one candle")
        numbers = (self.open_rate > 0.0) & (self.leverage >= 1.0) & (self.sigma > 0.0) & np.isfinite(self.sigma)
        if not bool(numbers.all()):
            raise InvalidTradeError(f"path {int(np.argmin(numbers))}: open_rate and sigma must be above 0, leverage at least 1")

    def __len__(self) -> int:
        return len(self.entry)

    def require_inside(self, candles: ReplayCandles) -> None:
        """Raise InvalidTradeError if a path extends beyond the candles."""
        last = int(self.end.max()) if len(self) else 0
        if last > len(candles):
            raise InvalidTradeError(f"a path ends at candle {last} of {len(candles)}: pass paths inside the candles")

    def take(self, rows: NDArray[np.int64]) -> TradePaths:
        """Return the given paths, in the order of `rows`."""
        return TradePaths(
            entry=self.entry[rows],
            end=self.end[rows],
            open_rate=self.open_rate[rows],
            is_short=self.is_short[rows],
            leverage=self.leverage[rows],
            sigma=self.sigma[rows],
            has_entry_candle=self.has_entry_candle,
        )
