"""Position sizing: leverage from the volatility; notional from the volatility target, half Kelly and caps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import LEVERAGE_STEPS, LeverageSpan
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile

_NOTIONAL_HEADROOM = 1.005  # the rate may move a little between the decision and the exchange's check


def choose_leverage(*, sigma: float, target_volatility: float, spans: Sequence[LeverageSpan]) -> float:
    """Choose the leverage inside the spans nearest to target volatility over sigma; of two equally near ones the lower.

    Parameters
    ----------
    sigma : float
        Volatility over the trade's horizon at entry, a ratio of the price, above 0.
    target_volatility : float
        Target volatility of the stake over the horizon.
    spans : sequence of (float, float)
        Ranges of leverage that may be chosen, lowest first, at least one (`LeverageBins.spans`).

    Returns
    -------
    float
        A whole number of hundredths.

    Raises
    ------
    InvalidTradeError
        If sigma is not above 0, or `spans` is empty.
    """
    if not sigma > 0.0:
        raise InvalidTradeError(f"sigma must be above 0, was {sigma}")
    if not spans:
        raise InvalidTradeError("leverage cannot be chosen without a span: pass at least one")
    wanted = min(max(target_volatility / sigma, spans[0][0]), spans[-1][1])
    # The whole hundredths below and above the target, clipped to each span: the nearest selectable leverage is among them.
    around = (math.floor(wanted * LEVERAGE_STEPS) / LEVERAGE_STEPS, math.ceil(wanted * LEVERAGE_STEPS) / LEVERAGE_STEPS)
    candidates = [min(max(leverage, low), high) for low, high in spans for leverage in around]
    return min(candidates, key=lambda leverage: (abs(leverage - wanted), leverage))


def volatility_notional(*, equity_abs: float, sigma: float, profile: BotProfile) -> float:
    """Return the notional whose volatility over the horizon equals target volatility times the maximum stake of an order."""
    return equity_abs * profile.max_stake_ratio * profile.target_volatility / sigma


def half_kelly_notional(*, equity_abs: float, lower_bound: float, stop_move: float, take_profit_move: float) -> float:
    """Compute half of the Kelly notional at the lower bound of the expectancy; 0 if that bound is not above 0.

    Parameters
    ----------
    lower_bound : float
        Lower bound of the net expectancy, ratio of the price.
    stop_move, take_profit_move : float
        The trade's own levels. The outcome is assumed to be one of the two, which gives the largest possible variance.
    """
    if not lower_bound > 0.0:
        return 0.0
    expectancy = min(lower_bound, take_profit_move)
    variance = (take_profit_move - expectancy) * (expectancy - stop_move)
    # A lower bound at the target gives a variance of 0: then only the other limits apply.
    return 0.5 * expectancy / variance * equity_abs if variance > 0.0 else math.inf


def free_notional(
    *,
    equity_abs: float,
    free_abs: float,
    pair_notional_abs: float,
    gross_notional_abs: float,
    leverage: float,
    fee: float,
    profile: BotProfile,
) -> float:
    """Return the notional that the caps still allow, at least 0: caps on an order's stake, free margin, and notional of pair and of all."""
    by_order = equity_abs * profile.max_stake_ratio * leverage
    by_margin = free_abs / (1.0 / leverage + fee)
    by_pair = equity_abs * profile.max_pair_notional_ratio - pair_notional_abs
    by_gross = equity_abs * profile.max_gross_notional_ratio - gross_notional_abs
    return max(min(by_order, by_margin, by_pair, by_gross), 0.0)


def smallest_amount(market: Market, *, rate: float) -> Decimal:
    """Return the smallest amount the market allows at a rate, rounded up to the step; the minimum notional gets 0.5 % headroom."""
    by_notional = market.min_notional_abs * Decimal(str(_NOTIONAL_HEADROOM)) / Decimal(str(rate))
    steps = (max(by_notional, market.min_amount) / market.amount_step).to_integral_value(ROUND_UP)
    return max(steps, Decimal(1)) * market.amount_step
