"""Exits of a trade: its stop and target, and the exit rules that are checked at each closed candle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from bot3.errors import LearningError
from bot3.market.regimes import Regime
from bot3.trading.costs import Costs
from bot3.trading.exit_law import GAVE_BACK, TIMED_OUT, exit_event
from bot3.trading.exit_rules import ExitRule
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.profiles import BotProfile
from bot3.trading.trades import ExitReason
from bot3.trading.units import move_of_profit, move_of_sigma, move_of_stake, side

_NO_LEVELS = (math.nan, math.nan, 0.0, math.nan)
_AT_CLOSE = {GAVE_BACK: ExitReason.GIVEBACK, TIMED_OUT: ExitReason.TIME_EXIT}

LARGEST_FALL = 0.99
"""Largest target of a short, as a move of the price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitLevels:
    """Stop (below 0) and target (above 0, infinity for none) as moves of the price from the entry's fill, before fees.

    `source` is the key of the row of learned parameters, or "static" if they are from the settings; `version` is None then.
    """

    stop_move: float
    take_profit_move: float
    source: str
    version: str | None


def static_levels(*, profile: BotProfile, leverage: float, is_short: bool, costs: Costs) -> ExitLevels:
    """Return the profile's stop (a distance before fees) and target (a profit after fees) as moves of the price before fees."""
    target = move_of_profit(profile.take_profit, leverage=leverage, is_short=is_short, fee_open=costs.taker_fee, fee_close=costs.taker_fee)
    return ExitLevels(stop_move=move_of_stake(profile.stop_loss, leverage=leverage), take_profit_move=target, source="static", version=None)


def learned_levels(row: ExitParameters, *, parameters: ParameterSet, regime: Regime, sigma: float, is_short: bool) -> ExitLevels:
    """Return a row's stop and target (in sigma) times the volatility at entry and the regime's factors.

    A short's target is limited to `LARGEST_FALL`, so that its rate stays above 0 at any volatility. A row without target has none.

    Raises
    ------
    LearningError
        If the parameters contain no factors for the regime.
    """
    factors = parameters.regime_factors.get(regime)
    if factors is None:
        raise LearningError(f"parameters {parameters.version} contain no factors for the regime {regime}: run `bot3 learn run`")
    target = move_of_sigma(row.target_sigma * factors[1], sigma=sigma)
    return ExitLevels(
        stop_move=move_of_sigma(row.stop_sigma * factors[0], sigma=sigma),
        take_profit_move=min(target, LARGEST_FALL) if is_short and math.isfinite(target) else target,
        source=row.key,
        version=row.version,
    )


def decide_exit(
    rule: ExitRule, *, is_short: bool, open_rate: float, best_rate: float, close_rate: float, candle_close_time: datetime
) -> ExitReason | None:
    """Return giveback or time exit if that rule closes an open trade at market after a candle's close; None if neither rule does.

    Parameters
    ----------
    open_rate : float
        Mean fill rate of the entry.
    best_rate : float
        Best rate since the entry: highest high (lowest low for a short) of the entry's candle and all later ones up to this one.
    close_rate : float
        Close of the candle.
    """
    # Stop, target and liquidation are the exchange's: only the events at the close remain.
    candle = (close_rate, close_rate, close_rate, close_rate)
    is_over = candle_close_time >= rule.expires_at
    code, _ = exit_event(side(is_short=is_short), candle, _NO_LEVELS, (open_rate, best_rate, is_over), rule.numbers)
    return _AT_CLOSE.get(code)
