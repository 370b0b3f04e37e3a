"""Position sizing: leverage from the volatility; notional from a risk target, half Kelly and caps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

import numpy as np
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import LEVERAGE_STEPS, LeverageSpan
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile, SizeLimits

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
        Leverage with at most two decimal places.

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


def risk_ratio(*, deviation: float | NDArray[np.float64], worst: float | NDArray[np.float64], limits: SizeLimits) -> NDArray[np.float64]:
    """Return the notional, a ratio of the equity, at which a trade has the target risk: its deviation, or half its worst loss if larger.

    Parameters
    ----------
    deviation : float or array
        Standard deviation of the trade's net move, ratio of the price.
    worst : float or array
        Worst net move, ratio of the price, below 0.
    """
    notional: NDArray[np.float64] = limits.risk_ratio / np.maximum(deviation, -np.asarray(worst, dtype=np.float64) / 2.0)
    return notional


def half_kelly_ratio(*, expectancy: float | NDArray[np.float64], deviation: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half of the Kelly notional, a ratio of the equity; 0 where the expectancy (a ratio of the price) is not above 0.

    Parameters
    ----------
    deviation : float or array
        Standard deviation of the net move around the expectancy, ratio of the price.
    """
    edge = np.maximum(np.nan_to_num(np.asarray(expectancy, dtype=np.float64)), 0.0)
    square = np.asarray(deviation, dtype=np.float64) ** 2 + edge**2
    notional = np.zeros(np.broadcast_shapes(edge.shape, square.shape))
    np.divide(0.5 * edge, square, out=notional, where=square > 0.0)
    return notional


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRisk:
    """Risk of one trade under its learned levels, net moves of the price.

    `deviation_move` is the standard deviation of the outcome, `worst_move` (below 0) the outcome at the stop, and `lower_bound` that of the
    expectancy.
    """

    deviation_move: float
    worst_move: float
    lower_bound: float


def outcome_notional(outcome: OutcomeRisk, *, equity_abs: float, multiplier: float, limits: SizeLimits) -> float:
    """Return the notional of a trade by its own risk: the risk target times a multiplier, or half Kelly at the lower bound if smaller."""
    by_risk = risk_ratio(deviation=outcome.deviation_move, worst=outcome.worst_move, limits=limits) * multiplier
    kelly = half_kelly_ratio(expectancy=outcome.lower_bound, deviation=outcome.deviation_move)
    return equity_abs * float(min(by_risk, kelly))


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
