"""What the open positions of a backtest are worth at each close of a candle: the values that its equity is marked by."""

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
        The first close, microseconds since 1970; the others follow one candle apart.
    count : int
        How many closes there are.

    Attributes
    ----------
    profit, funding : array of shape (count,)
        In stake currency: open profit with the funding received or paid so far, and that funding alone. Exit fees are left out.

    Notes
    -----
    The rate at a close is the open of the candle that begins then, which is what the paper exchange values a position at; where that candle
    is missing, the last close. Funding is paid as the paper exchange pays it: at the first open at or after it became due, on the value
    there.
    """

    def __init__(self, *, first_us: int, count: int, candle_us: int) -> None:
        self.first_us, self.candle_us = first_us, candle_us
        self.profit, self.funding = np.zeros(count), np.zeros(count)

    def add(self, candles: PairCandles, *, entry: int, until_us: int | None, is_short: bool, amount: float, open_rate: float) -> None:
        """Add a position at the closes after its entry and before it ends.

        Parameters
        ----------
        entry : int
            Index of the candle at whose open it entered.
        until_us : int or None
            When it ends; None if it is open at the end of the candles: its last value is kept then.
        amount, open_rate : float
            Base currency, and the fill rate.
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
        """Return profit and funding at the newest close of the span by an instant."""
        index = (at_us - self.first_us) // self.candle_us
        return float(self.profit[index]), float(self.funding[index])


@numba.njit(cache=True)
def _add_position(  # noqa: PLR0917  # numba knows no keywords
    totals: Any, candles: Any, entry: int, position: Any, until_us: int, first_us: int, candle_us: int
) -> None:
    open_us, opens, closes, funding_sum = candles
    side, amount, open_rate = position
    profit, funding = totals
    paid, index, last, at_us = 0.0, entry, len(open_us) - 1, open_us[entry] + candle_us
    while at_us < until_us:
        while index < last and open_us[index + 1] <= at_us:
            index += 1
            paid -= side * amount * (funding_sum[index] - funding_sum[index - 1]) * opens[index]
        number = (at_us - first_us) // candle_us
        if number >= len(profit):
            return
        if number >= 0:
            rate = opens[index] if open_us[index] == at_us else closes[index]
            profit[number] += side * amount * (rate - open_rate) + paid
            funding[number] += paid
        at_us += candle_us
