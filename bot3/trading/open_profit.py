"""Open profit of a backtest's positions at each candle's close, from which its equity is computed."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bot3.trading.matching import PairCandles


class OpenProfits:
    """Open profit and funding of all positions at every close of a span.

    Parameters
    ----------
    first_us : int
        The first close, microseconds since 1970; the others follow at intervals of one candle.
    count : int
        Number of closes.

    Attributes
    ----------
    profit, funding : array of shape (count,)
        In stake currency: `profit` is the open profit including the funding received or paid so far, without exit fees; `funding` is that
        funding only.

    Notes
    -----
    The rate at a close is the open of the candle that begins then, at which the paper exchange also values a position; if that candle is
    missing, it is the last close. Funding is paid as on the paper exchange: at the first open at or after it became due, on the value
    there.
    """

    def __init__(self, *, first_us: int, count: int, candle_us: int) -> None:
        self.first_us, self.candle_us = first_us, candle_us
        self.profit, self.funding = np.zeros(count), np.zeros(count)

    def add(self, candles: PairCandles, *, entry: int, until_us: int | None, is_short: bool, amount: float, open_rate: float) -> None:
        """Add a position to the closes after its entry and before its end.

        Parameters
        ----------
        entry : int
            Index of the candle at whose open it entered.
        until_us : int or None
            End of the position; None if it is open at the end of the candles: then its last value is used up to the end of the span.
        amount, open_rate : float
            Amount in base currency, and fill rate.
        """
        _add_position(
            (self.profit, self.funding),
            (candles.open_us, candles.open, candles.close, candles.funding_sum),
            entry,
            (-1.0 if is_short else 1.0, amount, open_rate),
            self.first_us + len(self.profit) * self.candle_us if until_us is None else until_us,
            self.first_us,
            self.candle_us,
        )

    def at(self, at_us: int) -> tuple[float, float]:
        """Return the open profit of all positions, funding included, and that funding, in stake currency.

        They are those of the newest close at or before an instant, which must be in the span.
        """
        index = (at_us - self.first_us) // self.candle_us
        return float(self.profit[index]), float(self.funding[index])


@numba.njit(cache=True)
def _add_position(  # noqa: PLR0917  # numba supports no keyword-only arguments
    totals: Any, candles: Any, entry: int, position: Any, until_us: int, first_us: int, candle_us: int
) -> None:
    # Add one position's profit and funding to `totals` in place, close by close from the end of its entry candle up to `until_us`
    # (excluded). `position` is (side, amount, open_rate).
    open_us, opens, closes, funding_sum = candles
    side, amount, open_rate = position
    profit, funding = totals
    paid, index, last, at_us = 0.0, entry, len(open_us) - 1, open_us[entry] + candle_us
    while at_us < until_us:
        # Advance to the newest candle that opened by this close (none or several with gaps) and pay the funding due at each open.
        while index < last and open_us[index + 1] <= at_us:
            index += 1
            paid -= side * amount * (funding_sum[index] - funding_sum[index - 1]) * opens[index]
        # Closes before the span only accumulate funding; closes after it end the loop.
        number = (at_us - first_us) // candle_us
        if number >= len(profit):
            return
        if number >= 0:
            rate = opens[index] if open_us[index] == at_us else closes[index]
            profit[number] += side * amount * (rate - open_rate) + paid
            funding[number] += paid
        at_us += candle_us
