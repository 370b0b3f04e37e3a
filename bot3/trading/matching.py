"""What candles make of a trade: the one law of backtest, shadow trades and the paper exchange.

A trade enters at the open of the candle after its signal's close, slippage added, and lives through whole candles from there on. Inside a
candle the stop comes first, then the target. What the open has jumped over fills at the open: worse for a stop, better for a target; beyond
the liquidation rate the whole stake is gone. When a candle has closed, giveback and the horizon are looked at; they leave at the next open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.trading.costs import Costs
from bot3.trading.trades import ExitReason
from bot3.trading.units import bankruptcy_rate, liquidation_rate, side

HELD, STOPPED, REACHED, LIQUIDATED, GAVE_BACK, TIMED_OUT = range(6)

EXIT_REASONS = {
    STOPPED: ExitReason.STOP_LOSS,
    REACHED: ExitReason.ROI,
    LIQUIDATED: ExitReason.LIQUIDATION,
    GAVE_BACK: ExitReason.GIVEBACK,
    TIMED_OUT: ExitReason.TIME_EXIT,
}


class PairCandles(Protocol):
    """One pair's candles as arrays of shape (n,), oldest first.

    `open_us` are microseconds since 1970; `sigma[i]` is known at the close of candle i; `funding_sum[i]` is the sum of funding rates up to
    and including the open of candle i (`learning.candle_arrays.CandleArrays` is one).
    """

    @property
    def open_us(self) -> NDArray[np.int64]:
        """Open times."""
        ...

    @property
    def open(self) -> NDArray[np.float64]:
        """Opens."""
        ...

    @property
    def high(self) -> NDArray[np.float64]:
        """Highs."""
        ...

    @property
    def low(self) -> NDArray[np.float64]:
        """Lows."""
        ...

    @property
    def close(self) -> NDArray[np.float64]:
        """Closes."""
        ...

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Expected volatility over the horizon."""
        ...

    @property
    def funding_sum(self) -> NDArray[np.float64]:
        """Funding rates so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPath:
    """A trade that candles are matched against; all rates quote per base.

    Parameters
    ----------
    entry : int
        Index of the candle at whose open it entered.
    open_rate : float
        Its fill rate, slippage included.
    expires_us : int
        The horizon's end, microseconds since 1970.
    """

    entry: int
    is_short: bool
    leverage: float
    open_rate: float
    stop_rate: float
    take_profit_rate: float
    maintenance_margin_ratio: float
    giveback_activation_move: float
    giveback_share: float
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedExit:
    """How a trade ended.

    Parameters
    ----------
    index : int
        Candle in which it was closed (at whose open, for giveback and time).
    close_us : int
        When that was known: the candle's close for stop, target and liquidation, the open for giveback and time.
    close_rate : float
        Fill rate, slippage included.
    fee : float
        Of the exit, ratio of its value; 0 at liquidation, which takes the stake and nothing more.
    funding_ratio : float
        Funding received (above 0) or paid while held, ratio of the value at entry.
    min_rate, max_rate : float
        Extremes from the entry to the exit; of the candle it ended in only the fill counts, for nobody knows what came first.
    """

    index: int
    close_us: int
    close_rate: float
    fee: float
    reason: ExitReason
    funding_ratio: float
    min_rate: float
    max_rate: float


def match_trade(candles: PairCandles, path: OpenPath, *, costs: Costs, candle_us: int) -> MatchedExit | None:
    """Return how a trade ended, or None if it is open at the end of the candles.

    Parameters
    ----------
    candle_us : int
        How long a candle lasts, microseconds.

    Raises
    ------
    InvalidTradeError
        If the entry lies outside the candles.
    """
    if not 0 <= path.entry < len(candles.open_us):
        raise InvalidTradeError(f"entry {path.entry} lies outside {len(candles.open_us)} candles")
    liquidation, bankruptcy = margin_rates(
        open_rate=path.open_rate, is_short=path.is_short, leverage=path.leverage, maintenance_margin_ratio=path.maintenance_margin_ratio
    )
    code, index, close_us, rate, funding, lowest, highest = walk_trade(
        (candles.open_us, candles.open, candles.high, candles.low, candles.close, candles.funding_sum),
        path.entry,
        side(is_short=path.is_short),
        (path.open_rate, path.stop_rate, path.take_profit_rate, liquidation, bankruptcy),
        (path.giveback_activation_move, path.giveback_share, path.expires_us),
        (costs.slippage, costs.stop_slippage),
        candle_us,
    )
    if code == HELD:
        return None
    return MatchedExit(
        index=index,
        close_us=close_us,
        close_rate=rate,
        fee=0.0 if code == LIQUIDATED else costs.taker_fee,
        reason=EXIT_REASONS[code],
        funding_ratio=funding,
        min_rate=lowest,
        max_rate=highest,
    )


def margin_rates(*, open_rate: float, is_short: bool, leverage: float, maintenance_margin_ratio: float) -> tuple[float, float]:
    """Return the rate that liquidates (0 where none does) and the one that a liquidated position is closed at."""
    liquidation = liquidation_rate(
        open_rate=open_rate, leverage=leverage, maintenance_margin_ratio=maintenance_margin_ratio, is_short=is_short
    )
    return liquidation or 0.0, bankruptcy_rate(open_rate=open_rate, leverage=leverage, is_short=is_short)


@numba.njit(cache=True)
def match_candle(side: float, candle: Any, levels: Any, slippages: Any) -> tuple[int, float]:  # noqa: PLR0911  # one return an outcome
    """Return what one candle does to a position, and the fill's rate.

    Parameters
    ----------
    candle : (open, high, low)
    levels : (stop, target, liquidation, bankruptcy)
        Rates; NaN for an order that does not rest, 0 for no liquidation.
    slippages : (slippage, stop_slippage)
    """
    opened, high, low = candle
    stop, target, liquidation, bankruptcy = levels
    slippage, stop_slippage = slippages
    worst, best = (low, high) if side > 0.0 else (high, low)
    stop_slip = 1.0 - side * (slippage + stop_slippage)
    target_slip = 1.0 - side * slippage
    if liquidation > 0.0 and side * (opened - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (opened - stop) <= 0.0:
        return STOPPED, opened * stop_slip
    if side * (opened - target) >= 0.0:
        return REACHED, opened * target_slip
    if side * (worst - stop) <= 0.0 and (liquidation == 0.0 or side * (stop - liquidation) > 0.0):
        return STOPPED, stop * stop_slip
    if liquidation > 0.0 and side * (worst - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (best - target) >= 0.0:
        return REACHED, target * target_slip
    return HELD, 0.0


@numba.njit(cache=True)
def gives_back(side: float, open_rate: float, best_rate: float, close_rate: float, activation: float, share: float) -> bool:  # noqa: PLR0917  # numba knows no keywords
    """Say whether a close gives back more than a share of the best open move, once that passed the activation (moves of the price)."""
    best = side * (best_rate / open_rate - 1.0)
    return bool(best >= activation and side * (close_rate / open_rate - 1.0) <= (1.0 - share) * best)


@numba.njit(cache=True)
def walk_trade(candles: Any, entry: int, side: float, rates: Any, rule: Any, slippages: Any, candle_us: int) -> Any:  # noqa: PLR0917
    """Walk a trade's candles; return (code, index, close_us, rate, funding_ratio, min_rate, max_rate), code HELD if still open."""
    open_us, opens, highs, lows, closes, funding_sum = candles
    open_rate, stop, target, liquidation, bankruptcy = rates
    activation, share, expires_us = rule
    funding, lowest, highest = 0.0, open_rate, open_rate
    last = len(opens) - 1
    for i in range(entry, last + 1):
        if i > entry:
            # Paid on the value at that time; the candle's open stands for the mark rate.
            funding -= side * (funding_sum[i] - funding_sum[i - 1]) * opens[i] / open_rate
        code, rate = match_candle(side, (opens[i], highs[i], lows[i]), (stop, target, liquidation, bankruptcy), slippages)
        if code != HELD:
            return code, i, open_us[i] + candle_us, rate, funding, min(lowest, rate), max(highest, rate)
        lowest, highest = min(lowest, lows[i]), max(highest, highs[i])
        best = highest if side > 0.0 else lowest
        left = HELD
        if gives_back(side, open_rate, best, closes[i], activation, share):
            left = GAVE_BACK
        elif open_us[i] + candle_us >= expires_us:
            left = TIMED_OUT
        if left != HELD and i < last:
            rate = opens[i + 1] * (1.0 - side * slippages[0])
            funding -= side * (funding_sum[i + 1] - funding_sum[i]) * opens[i + 1] / open_rate
            return left, i + 1, open_us[i + 1], rate, funding, min(lowest, rate), max(highest, rate)
        if left != HELD:
            break
    return HELD, last, open_us[last], open_rate, funding, lowest, highest
