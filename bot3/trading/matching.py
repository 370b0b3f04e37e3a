"""Match trades against candles by the events of `trading.exit_law`, for backtests and shadow trades.

A trade enters at the open of the candle after its signal's close, plus slippage, and is matched against whole candles from there on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.trading.costs import Costs
from bot3.trading.exit_law import GAVE_BACK, HELD, LIQUIDATED, REACHED, STOPPED, TIMED_OUT, walk_trade
from bot3.trading.exit_rules import ExitRule
from bot3.trading.trades import ExitReason
from bot3.trading.units import bankruptcy_rate, liquidation_rate, side

EXIT_REASONS = {
    STOPPED: ExitReason.STOP_LOSS,
    REACHED: ExitReason.ROI,
    LIQUIDATED: ExitReason.LIQUIDATION,
    GAVE_BACK: ExitReason.GIVEBACK,
    TIMED_OUT: ExitReason.TIME_EXIT,
}


class PairCandles(Protocol):
    """One pair's candles as arrays of shape (n,), oldest first.

    `open_us` are microseconds since 1970; `sigma[i]` is the volatility over 24 h, known at the close of candle i; `funding_sum[i]` is the
    sum of funding rates up to and including the open of candle i. `learning.replay.candle_arrays.CandleArrays` implements this protocol.
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
        """Return the expected volatility over 24 h."""
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
    take_profit_rate : float
        Rate of the target; NaN without target.
    break_even_rate : float
        Rate to which the break-even rule moves the stop.
    """

    entry: int
    is_short: bool
    leverage: float
    open_rate: float
    stop_rate: float
    take_profit_rate: float
    maintenance_margin_ratio: float
    rule: ExitRule
    break_even_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedExit:
    """Exit of a trade that was matched against candles.

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
    stop_rate : float
        Rate of the stop at the exit: that of the entry, unless the exit rule moved it.
    """

    index: int
    close_us: int
    close_rate: float
    fee: float
    reason: ExitReason
    funding_ratio: float
    min_rate: float
    max_rate: float
    stop_rate: float


def match_trade(candles: PairCandles, path: OpenPath, *, costs: Costs, candle_us: int) -> MatchedExit | None:
    """Return the exit of a trade; None if it is still open at the end of the candles, or exits at an open after them.

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
    code, index, close_us, rate, funding, lowest, highest, stop = walk_trade(
        (candles.open_us, candles.open, candles.high, candles.low, candles.close, candles.funding_sum),
        path.entry,
        side(is_short=path.is_short),
        (path.open_rate, path.stop_rate, path.take_profit_rate, liquidation, bankruptcy),
        (path.rule.numbers, path.break_even_rate, instant_us(path.rule.expires_at)),
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
        stop_rate=stop,
    )


def margin_rates(*, open_rate: float, is_short: bool, leverage: float, maintenance_margin_ratio: float) -> tuple[float, float]:
    """Return the liquidation rate (0 if there is none), and the rate at which the position is then closed (bankruptcy rate)."""
    liquidation = liquidation_rate(
        open_rate=open_rate, leverage=leverage, maintenance_margin_ratio=maintenance_margin_ratio, is_short=is_short
    )
    return liquidation or 0.0, bankruptcy_rate(open_rate=open_rate, leverage=leverage, is_short=is_short)
