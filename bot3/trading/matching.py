"""Match trades against candles: the exit rules shared by backtest, shadow trades and the paper exchange.

A trade enters at the open of the candle after its signal's close, plus slippage, and is matched against whole candles from there on. Inside
a candle the stop is assumed to be touched before the target. A level that the open gaps over fills at the open: worse for a stop, better
for a target; beyond the liquidation rate the whole stake is lost. At a candle's close, giveback and horizon are checked; they exit at the
next open.
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
    and including the open of candle i. `learning.candle_arrays.CandleArrays` implements this protocol.
    """

    @property
    def open_us(self) -> NDArray[np.int64]:
        """Return the open times."""
        ...

    @property
    def open(self) -> NDArray[np.float64]:
        """Return the open rates."""
        ...

    @property
    def high(self) -> NDArray[np.float64]:
        """Return the high rates."""
        ...

    @property
    def low(self) -> NDArray[np.float64]:
        """Return the low rates."""
        ...

    @property
    def close(self) -> NDArray[np.float64]:
        """Return the close rates."""
        ...

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Return the expected volatility over the horizon."""
        ...

    @property
    def funding_sum(self) -> NDArray[np.float64]:
        """Return the cumulative funding rates."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPath:
    """An open trade to be matched against candles; all rates are quote per base.

    Parameters
    ----------
    entry : int
        Index of the candle at whose open the trade entered.
    open_rate : float
        Fill rate of the entry, slippage included.
    expires_us : int
        End of the horizon, microseconds since 1970.
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
    """Exit of a trade.

    Parameters
    ----------
    index : int
        Index of the candle in which the trade closed (at whose open, for giveback and time).
    close_us : int
        Time at which the exit is known: the candle's close for stop, target and liquidation, its open for giveback and time.
    close_rate : float
        Fill rate, slippage included.
    fee : float
        Fee of the exit, ratio of its value; 0 at liquidation, which costs exactly the stake.
    funding_ratio : float
        Funding received (above 0) or paid (below 0) while the trade was open, ratio of the value at entry.
    min_rate, max_rate : float
        Extreme rates from the entry to the exit. Of the exit's candle only the fill counts, because the order of events in it is unknown.
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
    """Return the exit of a trade; None if it is still open at the end of the candles.

    Parameters
    ----------
    candle_us : int
        Duration of a candle, microseconds.

    Raises
    ------
    InvalidTradeError
        If the entry index lies outside the candles.
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
    """Return the liquidation rate (0 if there is none), and the rate at which a liquidated position is closed."""
    liquidation = liquidation_rate(
        open_rate=open_rate, leverage=leverage, maintenance_margin_ratio=maintenance_margin_ratio, is_short=is_short
    )
    return liquidation or 0.0, bankruptcy_rate(open_rate=open_rate, leverage=leverage, is_short=is_short)


@numba.njit(cache=True)
def match_candle(side: float, candle: Any, levels: Any, slippages: Any) -> tuple[int, float]:  # noqa: PLR0911  # one return an outcome
    """Match a position against one candle; return the outcome's code, and the fill rate (0 if the position stays open).

    Parameters
    ----------
    candle : (open, high, low)
    levels : (stop, target, liquidation, bankruptcy)
        Rates; NaN for an order that does not exist, 0 for no liquidation.
    slippages : (slippage, stop_slippage)

    Notes
    -----
    A NaN level compares false, so it never triggers. Multiplying by `side` makes one comparison valid for longs and shorts.
    """
    opened, high, low = candle
    stop, target, liquidation, bankruptcy = levels
    slippage, stop_slippage = slippages
    worst, best = (low, high) if side > 0.0 else (high, low)
    stop_slip = 1.0 - side * (slippage + stop_slippage)
    target_slip = 1.0 - side * slippage
    # First the open: levels that it has reached or gapped over fill at the open rate.
    if liquidation > 0.0 and side * (opened - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (opened - stop) <= 0.0:
        return STOPPED, opened * stop_slip
    if side * (opened - target) >= 0.0:
        return REACHED, opened * target_slip
    # Then the rest of the candle, the worst rate first. A stop at or beyond the liquidation rate cannot fill.
    if side * (worst - stop) <= 0.0 and (liquidation == 0.0 or side * (stop - liquidation) > 0.0):
        return STOPPED, stop * stop_slip
    if liquidation > 0.0 and side * (worst - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (best - target) >= 0.0:
        return REACHED, target * target_slip
    return HELD, 0.0


@numba.njit(cache=True)
def gives_back(side: float, open_rate: float, best_rate: float, close_rate: float, activation: float, share: float) -> bool:  # noqa: PLR0917  # numba supports no keywords
    """Return whether a close gives back at least a share of the best open move, once that reached the activation (moves of the price)."""
    best = side * (best_rate / open_rate - 1.0)
    return bool(best >= activation and side * (close_rate / open_rate - 1.0) <= (1.0 - share) * best)


@numba.njit(cache=True)
def walk_trade(candles: Any, entry: int, side: float, rates: Any, rule: Any, slippages: Any, candle_us: int) -> Any:  # noqa: PLR0917
    """Match a trade against its candles one by one.

    Return (code, index, close_us, rate, funding_ratio, min_rate, max_rate); the code is HELD if the trade is still open.

    Parameters
    ----------
    candles : (open_us, open, high, low, close, funding_sum)
    rates : (open_rate, stop, target, liquidation, bankruptcy)
    rule : (giveback activation move, giveback share, end of the horizon in microseconds since 1970)
    slippages : (slippage, stop_slippage)
    """
    open_us, opens, highs, lows, closes, funding_sum = candles
    open_rate, stop, target, liquidation, bankruptcy = rates
    activation, share, expires_us = rule
    funding, lowest, highest = 0.0, open_rate, open_rate
    last = len(opens) - 1
    for i in range(entry, last + 1):
        if i > entry:
            # Funding is paid on the position's value at that time; the candle's open is used as the mark rate.
            funding -= side * (funding_sum[i] - funding_sum[i - 1]) * opens[i] / open_rate
        code, rate = match_candle(side, (opens[i], highs[i], lows[i]), (stop, target, liquidation, bankruptcy), slippages)
        if code != HELD:
            return code, i, open_us[i] + candle_us, rate, funding, min(lowest, rate), max(highest, rate)
        lowest, highest = min(lowest, lows[i]), max(highest, highs[i])
        best = highest if side > 0.0 else lowest
        # The rules at the candle's close: giveback first, then the horizon. They exit at the next candle's open.
        left = HELD
        if gives_back(side, open_rate, best, closes[i], activation, share):
            left = GAVE_BACK
        elif open_us[i] + candle_us >= expires_us:
            left = TIMED_OUT
        if left != HELD and i < last:
            rate = opens[i + 1] * (1.0 - side * slippages[0])
            funding -= side * (funding_sum[i + 1] - funding_sum[i]) * opens[i + 1] / open_rate
            return left, i + 1, open_us[i + 1], rate, funding, min(lowest, rate), max(highest, rate)
        # Without a next candle the exit has no rate yet, so the trade is returned as open.
        if left != HELD:
            break
    return HELD, last, open_us[last], open_rate, funding, lowest, highest
