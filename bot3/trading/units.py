"""Convert between ratios of the stake, moves of the price, rates and units of volatility (sigma).

A move is above 0 when the trade gains, for longs and shorts alike: `move = side * (rate / open_rate - 1)`.
"""

from __future__ import annotations

from bot3.errors import InvalidTradeError
from bot3.trading.costs import close_profit

LIQUIDATION_DISTANCE = 2.0
"""Minimum distance of the liquidation as a multiple of the stop's distance."""


def side(*, is_short: bool) -> float:
    """Return -1.0 for a short and 1.0 for a long."""
    return -1.0 if is_short else 1.0


def move_of_stake(ratio: float, *, leverage: float) -> float:
    """Convert a ratio of the stake to a price move, both before fees: -0.03 at 10x is -0.003."""
    return ratio / _checked(leverage)


def stake_of_move(move: float, *, leverage: float) -> float:
    """Convert a price move to a ratio of the stake, both before fees: -0.003 at 10x is -0.03."""
    return move * _checked(leverage)


def move_of_sigma(level: float, *, sigma: float) -> float:
    """Convert a level in units of the volatility at entry to a price move."""
    return level * sigma


def rate_of_move(move: float, *, open_rate: float, is_short: bool) -> float:
    """Return the rate at a move from the open rate."""
    return open_rate * (1.0 + side(is_short=is_short) * move)


def move_of_rate(rate: float, *, open_rate: float, is_short: bool) -> float:
    """Return the move from the open rate to a rate."""
    return side(is_short=is_short) * (rate / open_rate - 1.0)


def stop_ratio(
    stop_rate: float, *, planned: tuple[float | None, float | None], open_rate: float, is_short: bool, leverage: float
) -> float | None:
    """Return a stop as a ratio of the stake, before fees; of an unmoved stop the planned ratio (None if that is unknown).

    Parameters
    ----------
    planned : (float or None, float or None)
        Rate of the stop that was planned at the entry, and its ratio of the stake.
    """
    planned_rate, planned_ratio = planned
    if stop_rate == planned_rate:
        return planned_ratio
    return stake_of_move(move_of_rate(stop_rate, open_rate=open_rate, is_short=is_short), leverage=leverage)


def move_of_profit(profit: float, *, leverage: float, is_short: bool, fee_open: float, fee_close: float) -> float:
    """Return the price move required for a profit after fees (ratio of the stake), such as a target.

    Raises
    ------
    InvalidTradeError
        If the leverage is below 1, or no rate above 0 gives this profit (the profit of a short is below its leverage).
    """
    sign = side(is_short=is_short)
    ratio = (1.0 + sign * fee_open) * (1.0 + sign * profit / _checked(leverage)) / (1.0 - sign * fee_close)
    if not ratio > 0.0:
        raise InvalidTradeError(f"no rate earns {profit} of the stake at leverage {leverage}: set a smaller target")
    return sign * (ratio - 1.0)


def profit_of_move(move: float, *, leverage: float, is_short: bool, fee_open: float, fee_close: float) -> float:
    """Return the profit of an exit at a price move, after fees and as a ratio of the stake."""
    rate = rate_of_move(move, open_rate=1.0, is_short=is_short)
    return close_profit(
        open_rate=1.0, close_rate=rate, is_short=is_short, leverage=_checked(leverage), fee_open=fee_open, fee_close=fee_close
    )


def liquidation_move(*, leverage: float, maintenance_margin_ratio: float, is_short: bool) -> float:
    """Return the move, below 0, at which isolated margin no longer covers the maintenance margin; -1.0 for a long at 1x.

    Raises
    ------
    InvalidTradeError
        If the leverage is below 1, or the margin does not cover the maintenance margin at entry.
    """
    margin = 1.0 / _checked(leverage)
    if not 0.0 <= maintenance_margin_ratio < margin:
        raise InvalidTradeError(
            f"leverage {leverage} leaves no room above the maintenance margin ratio {maintenance_margin_ratio}: lower it"
        )
    # The maintenance margin is a ratio of the position's value at the liquidation rate, not at entry.
    return -(margin - maintenance_margin_ratio) / (1.0 - side(is_short=is_short) * maintenance_margin_ratio)


def liquidation_rate(*, open_rate: float, leverage: float, maintenance_margin_ratio: float, is_short: bool) -> float | None:
    """Return the liquidation rate; None if there is none (a long at 1x)."""
    move = liquidation_move(leverage=leverage, maintenance_margin_ratio=maintenance_margin_ratio, is_short=is_short)
    rate = rate_of_move(move, open_rate=open_rate, is_short=is_short)
    return rate if rate > 0.0 else None


def bankruptcy_rate(*, open_rate: float, leverage: float, is_short: bool) -> float:
    """Return the rate at which the whole stake is lost before fees, the close rate of a liquidated position; 0 for a long at 1x."""
    return rate_of_move(-1.0 / _checked(leverage), open_rate=open_rate, is_short=is_short)


def stop_inside_liquidation(stop_move: float, *, leverage: float, maintenance_margin_ratio: float, is_short: bool) -> float:
    """Return the stop's move, reduced if the liquidation is less than `LIQUIDATION_DISTANCE` times as far away.

    Raises
    ------
    InvalidTradeError
        If the stop is not below 0, or the leverage has no valid `liquidation_move`.
    """
    if not stop_move < 0.0:
        raise InvalidTradeError(f"a stop must be below 0, was {stop_move}")
    limit = liquidation_move(leverage=leverage, maintenance_margin_ratio=maintenance_margin_ratio, is_short=is_short)
    return max(stop_move, limit / LIQUIDATION_DISTANCE)


def _checked(leverage: float) -> float:
    if not leverage >= 1.0:
        raise InvalidTradeError(f"leverage must be at least 1, was {leverage}")
    return leverage
