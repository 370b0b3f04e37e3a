"""Trading costs, and the net profit of a closed trade."""

from __future__ import annotations

from dataclasses import dataclass

from bot3.errors import InvalidTradeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Fees as ratios of a side's value, slippage as ratios of the price; 0.0005 is 5 bps.

    `slippage` applies to every market order; `stop_slippage` is added to it at stops.
    """

    taker_fee: float
    maker_fee: float
    slippage: float
    stop_slippage: float

    def __post_init__(self) -> None:
        for name in ("taker_fee", "maker_fee", "slippage", "stop_slippage"):
            if not 0.0 <= getattr(self, name) < 0.1:
                raise InvalidTradeError(f"{name} must be at least 0 and below 0.1, was {getattr(self, name)}")

    def entry_rate(self, rate: float, *, is_short: bool) -> float:
        """Return the fill rate of an entry at market when the market is at `rate`."""
        return rate * (1.0 - self.slippage if is_short else 1.0 + self.slippage)

    def exit_rate(self, rate: float, *, is_short: bool) -> float:
        """Return the fill rate of an exit at market when the market is at `rate`."""
        return rate * (1.0 + self.slippage if is_short else 1.0 - self.slippage)

    def break_even_rate(self, open_rate: float, *, is_short: bool) -> float:
        """Return the trigger rate of a stop whose fill earns 0 after both fees and the slippage of stops, without funding."""
        side = -1.0 if is_short else 1.0
        kept = (1.0 - side * self.taker_fee) * (1.0 - side * (self.slippage + self.stop_slippage))
        return open_rate * (1.0 + side * self.taker_fee) / kept


def close_profit(
    *,
    open_rate: float,
    close_rate: float,
    is_short: bool,
    leverage: float,
    fee_open: float,
    fee_close: float,
    funding_ratio: float = 0.0,
) -> float:
    """Compute the net profit of a closed trade as a ratio of its stake.

    Parameters
    ----------
    open_rate, close_rate : float
        Average fill rates, quote per base, above 0.
    leverage : float
        Position value over stake, at least 1.
    fee_open, fee_close : float
        Cost of each side as a ratio of its value; 0.001 is 0.1 %.
    funding_ratio : float
        Funding received (above 0) or paid (below), as a ratio of the position's value at entry.

    Returns
    -------
    float
        0.012 is +1.2 % of the stake, after fees, funding and leverage.

    Raises
    ------
    InvalidTradeError
        If a rate is not above 0.

    Notes
    -----
    Same definition as freqtrade's `Trade.calc_profit_ratio`.
    """
    if not (open_rate > 0.0 and close_rate > 0.0):
        raise InvalidTradeError(f"rates must be above 0, were {open_rate} and {close_rate}")
    side = -1.0 if is_short else 1.0
    opened = open_rate * (1.0 + side * fee_open)
    closed = close_rate * (1.0 - side * fee_close) + side * funding_ratio * open_rate
    return side * (closed / opened - 1.0) * leverage
