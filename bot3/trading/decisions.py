"""Decisions on a signal: a plan to enter, or a hold (no trade) with its reason; and the inputs of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.orders import Decision, Intent, IntentLeg, OrderSide, OrderType
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import Recommendation
from bot3.trading.risk import EquityMarks
from bot3.trading.signals import Signal

Detail = Mapping[str, str | float | int | bool | None]


class HoldReason(StrEnum):
    """Reason why a signal is not traded; in the order of the checks, except that both `MISSING_` are checked before both `EXPIRED_`."""

    DIRECTION = "direction"  # this bot does not trade it
    HALTED = "halted"
    REDUCING = "reducing"
    POSITION_OPEN = "position_open"
    SLOTS_FULL = "slots_full"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    STOP_STREAK = "stop_streak"
    COOL_OFF = "cool_off"
    STALE_CANDLES = "stale_candles"
    NO_RATE = "no_rate"
    PRICE_COLLAR = "price_collar"  # the rate is too far from the mark
    NO_VOLATILITY = "no_volatility"  # too few candles to compute it
    NO_LEARNING_YET = "no_learning_yet"  # live only: elsewhere the bot trades the smallest order with the stop and target of the settings
    MISSING_RECOMMENDATION = "missing_recommendation"
    EXPIRED_RECOMMENDATION = "expired_recommendation"
    MISSING_PARAMETERS = "missing_parameters"
    EXPIRED_PARAMETERS = "expired_parameters"
    FEEDER_SHADOW = "feeder_shadow"
    LEVERAGE_RANGE = "leverage_range"  # every open bin lies above the bot's or the market's cap
    BIN_SHADOW = "bin_shadow"
    NO_EDGE = "no_edge"  # the lower bound of the expectancy is not above 0
    TARGET_BELOW_COSTS = "target_below_costs"
    STOP_WITHIN_SPREAD = "stop_within_spread"  # a tick or the slippage would trigger the stop at once, or the target's rate is not above 0
    CAPS = "caps"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    OUTRANKED = "outranked"  # another signal opened the pair at this close


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Decision not to trade a signal, with its reason and the compared numbers."""

    pair: str
    reason: HoldReason
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlan:
    """A trade to open at market, with its stop and target (None: no target); amounts and rates are rounded to the market's steps.

    `context` has the keys of `orders.ENTRY_CONTEXT` and `liquidation_price`, and `break_even_activation_move` if that rule is on.
    """

    pair: str
    is_short: bool
    candle_close_time: datetime
    feeder_id: str
    confidence: float
    leverage: float
    amount: Decimal
    notional_abs: float
    stake_abs: float
    stop_rate: Decimal
    take_profit_rate: Decimal | None
    context: Detail

    def entry_intent(self, *, account: str, bot: str, trade_id: int) -> Intent:
        """Return the intent (planned order) of the market order that opens the trade; the caller stores it before it sends the order."""
        return Intent(
            account=account,
            bot=bot,
            pair=self.pair,
            candle_close_time=self.candle_close_time,
            leg=IntentLeg.ENTRY,
            side=OrderSide.SELL if self.is_short else OrderSide.BUY,
            order_type=OrderType.MARKET,
            amount=self.amount,
            leverage=self.leverage,
            reduce_only=False,
            trade_id=trade_id,
            context=self.context,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A pair's market data at a decision.

    Parameters
    ----------
    rate : float
        Current rate at which a market order would be filled, before slippage.
    mark_rate : float
        Reference rate that `rate` is compared with: the close rate of the newest closed candle.
    sigma : float
        Volatility over 24 h (of a view returned by `over`: over its horizon), known at the newest close; NaN if too few candles are known.
    candle_close_time : datetime
        Close of the newest closed candle.
    """

    market: Market
    rate: float
    mark_rate: float
    sigma: float
    candle_close_time: datetime

    def over(self, horizon: Horizon) -> PairView:
        """Return the view of 24 h with the volatility over a horizon."""
        return replace(self, sigma=self.sigma * horizon.sigma_factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A bot's positions and free margin at a decision.

    Parameters
    ----------
    equity_abs, free_abs : float
        Wallet with open profit, and margin not in use, in stake currency.
    notionals : mapping
        Value at entry of each open position, by pair, in stake currency; in the daemon also of each entry order with an unknown result.
    marks : EquityMarks
        Equity levels that losses are measured from (`risk.mark_equity`).
    last_closes : mapping
        Close date of the newest closed trade, by pair.
    stops : tuple of datetime
        Close dates of trades that ended at their stop or by liquidation, oldest first.
    """

    equity_abs: float
    free_abs: float
    notionals: Mapping[str, float]
    marks: EquityMarks
    last_closes: Mapping[str, datetime]
    stops: tuple[datetime, ...]

    def with_entry(self, plan: EntryPlan) -> Book:
        """Return the book as it would be after the fill of a plan."""
        notionals = {**self.notionals, plan.pair: plan.notional_abs}
        return replace(self, notionals=notionals, free_abs=self.free_abs - plan.stake_abs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The newest valid parameters and recommendation at a decision; they may have expired.

    Each is None if no valid one was read yet. `is_unread` is true while something published is invalid or could not be read: without
    parameters and recommendation a bot must not trade then as if nothing had been published yet.
    """

    parameters: ParameterSet | None
    recommendation: Recommendation | None
    is_unread: bool = False


def journal_row(bot: str, signal: Signal, verdict: EntryPlan | Hold, *, client_order_id: str | None = None) -> Decision:
    """Return a decision on a signal in the form in which it is stored."""
    is_plan = isinstance(verdict, EntryPlan)
    return Decision(
        bot=bot,
        pair=signal.pair,
        candle_close_time=signal.known_at,
        feeder_id=signal.feeder_id,
        is_short=signal.is_short,
        confidence=signal.confidence,
        outcome="intent" if is_plan else "hold",
        reason="entry" if isinstance(verdict, EntryPlan) else verdict.reason.value,
        detail=verdict.context if isinstance(verdict, EntryPlan) else verdict.detail,
        client_order_id=client_order_id,
    )
