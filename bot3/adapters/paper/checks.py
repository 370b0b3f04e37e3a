"""Checks by which the simulated exchange of paper trading rejects orders."""

from __future__ import annotations

from decimal import Decimal

from bot3.adapters.paper.state import Held
from bot3.errors import OrderRejectedError
from bot3.trading.markets import Market
from bot3.trading.orders import Intent, OrderSide, OrderType


def require_amount(intent: Intent, *, market: Market) -> None:
    """Raise OrderRejectedError if the amount is no multiple of the step or below the minimum, or the trigger rate is wrong.

    A stop or target order needs a trigger rate that is a multiple of the tick; a market order must have none.
    """
    if intent.amount % market.amount_step != 0:
        raise OrderRejectedError(f"{intent.pair}: amount {intent.amount} is not a multiple of the step {market.amount_step}")
    if intent.amount < market.min_amount:
        raise OrderRejectedError(f"{intent.pair}: amount {intent.amount} is below the minimum {market.min_amount}")
    rests = intent.order_type is not OrderType.MARKET
    if rests is (intent.trigger_rate is None):
        raise OrderRejectedError(f"{intent.pair}: a {intent.order_type} order {'needs a' if rests else 'takes no'} trigger rate")
    if intent.trigger_rate is not None and (intent.trigger_rate <= 0 or intent.trigger_rate % market.rate_tick != 0):
        raise OrderRejectedError(f"{intent.pair}: trigger {intent.trigger_rate} is not a multiple of the tick {market.rate_tick}")


def require_margin(intent: Intent, *, market: Market, rate: float, held: Held | None, free_abs: Decimal, taker_fee: float) -> None:
    """Raise OrderRejectedError if an entry may not be made.

    It may not if its value is below the minimum, if its direction or leverage differs from the open position's, if its leverage is not
    allowed for the resulting position, or if margin and fee exceed `free_abs`.
    """
    value = intent.amount * Decimal(str(rate))
    if value < market.min_notional_abs:
        raise OrderRejectedError(f"{intent.pair}: notional {value:.4f} is below the minimum {market.min_notional_abs}")
    if held is not None and (held.is_short is not (intent.side is OrderSide.SELL) or held.leverage != intent.leverage):
        raise OrderRejectedError(
            f"{intent.pair}: a position of the other direction or leverage is open; only orders that reduce it are allowed"
        )
    total = float(value + (Decimal(0) if held is None else held.value_abs))
    bracket = market.bracket(total)
    if not 1.0 <= intent.leverage <= bracket.max_leverage or total > market.brackets[-1].notional_cap_abs:
        raise OrderRejectedError(
            f"{intent.pair}: leverage {intent.leverage} is not allowed for a notional of {total:.2f}: at most {bracket.max_leverage} "
            f"up to {bracket.notional_cap_abs}"
        )
    needed = value / Decimal(str(intent.leverage)) + value * Decimal(str(taker_fee))
    if needed > free_abs:
        raise OrderRejectedError(f"{intent.pair}: insufficient margin: {needed:.4f} is needed, {free_abs:.4f} is free")


def require_reducing(intent: Intent, *, held: Held | None) -> Held:
    """Return the position that an order reduces. Raises OrderRejectedError if it is not reduce only, or there is nothing to reduce."""
    if not intent.reduce_only:
        raise OrderRejectedError(f"{intent.pair}: a {intent.order_type} order must be reduce only")
    if held is None:
        raise OrderRejectedError(f"{intent.pair}: reduce only order rejected, no position is open")
    if (intent.side is OrderSide.BUY) is not held.is_short:
        raise OrderRejectedError(f"{intent.pair}: reduce only order rejected, {intent.side} would increase the position")
    return held


def require_resting(intent: Intent, *, rate: float, is_short: bool) -> None:
    """Raise OrderRejectedError if a stop or target order has no trigger rate, or would trigger at once with the market at `rate`."""
    if intent.trigger_rate is None:
        raise OrderRejectedError(f"{intent.pair}: a {intent.order_type} order needs a trigger rate")
    is_above = float(intent.trigger_rate) > rate
    rests_above = is_short is (intent.order_type is OrderType.STOP_MARKET)
    if is_above is not rests_above or float(intent.trigger_rate) == rate:
        raise OrderRejectedError(f"{intent.pair}: trigger {intent.trigger_rate} would trigger immediately at {rate}")
