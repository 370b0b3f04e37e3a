"""What is decided on a signal: a plan to enter, or a hold with its reason; and what the decision looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bot3.trading.markets import Market
from bot3.trading.orders import Decision, Intent, IntentLeg, OrderSide, OrderType
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import Recommendation
from bot3.trading.risk import EquityMarks
from bot3.trading.signals import Signal

Detail = Mapping[str, str | float | int | bool | None]


class HoldReason(StrEnum):
    """Why a signal is not traded, in the order in which it is asked."""

    DIRECTION = "direction"  # not taken by this bot
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
    PRICE_COLLAR = "price_collar"  # the rate has left the mark
    NO_VOLATILITY = "no_volatility"  # too few candles to know it
    NO_LEARNING_YET = "no_learning_yet"  # live only: on paper the static set probes
    MISSING_RECOMMENDATION = "missing_recommendation"
    EXPIRED_RECOMMENDATION = "expired_recommendation"
    MISSING_PARAMETERS = "missing_parameters"
    EXPIRED_PARAMETERS = "expired_parameters"
    FEEDER_SHADOW = "feeder_shadow"
    LEVERAGE_RANGE = "leverage_range"  # every open bin lies above the bot's cap or the market's
    BIN_SHADOW = "bin_shadow"
    NO_EDGE = "no_edge"  # the lower bound of the expectancy is not above 0
    TARGET_BELOW_COSTS = "target_below_costs"
    STOP_WITHIN_SPREAD = "stop_within_spread"  # a tick or the slippage would trigger it at once
    CAPS = "caps"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    OUTRANKED = "outranked"  # another signal opened the pair at this close


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """No trade, and the numbers that were compared."""

    pair: str
    reason: HoldReason
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlan:
    """A trade to open at market, with the orders that protect it; amounts and rates are on the market's steps.

    `context` has the keys of `orders.ENTRY_CONTEXT` and `liquidation_price`.
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
    take_profit_rate: Decimal
    context: Detail

    def entry_intent(self, *, account: str, bot: str, trade_id: int) -> Intent:
        """Return the market order that opens the trade, to be journalled before it is sent."""
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
    """A pair's market at a decision.

    Parameters
    ----------
    rate : float
        What a market order would meet now.
    mark_rate : float
        What the rate is held against: the newest close, or the exchange's mark.
    sigma : float
        Volatility over the horizon, known at the newest close; NaN where too few candles are known.
    candle_close_time : datetime
        Close of the newest closed candle.
    """

    market: Market
    rate: float
    mark_rate: float
    sigma: float
    candle_close_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What a bot holds and may still use, as the decision finds it.

    Parameters
    ----------
    equity_abs, free_abs : float
        Wallet with open profit, and margin not in use.
    notionals : mapping
        Pair of each open position to its value at entry.
    marks : EquityMarks
        What losses are counted from (`risk.mark_equity`).
    last_closes : mapping
        Pair to the close date of its newest trade.
    stops : tuple of datetime
        Close dates of stopped trades, oldest first.
    """

    equity_abs: float
    free_abs: float
    notionals: Mapping[str, float]
    marks: EquityMarks
    last_closes: Mapping[str, datetime]
    stops: tuple[datetime, ...]

    def with_entry(self, plan: EntryPlan) -> Book:
        """Return the book as if the plan had been filled."""
        notionals = {**self.notionals, plan.pair: plan.notional_abs}
        return replace(self, notionals=notionals, free_abs=self.free_abs - plan.stake_abs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What is in force at a decision; both None before anything was ever learned, or while what was published cannot be used.

    `is_unread` is true in the second case: something that was refused or could not be read is not the same as nothing.
    """

    parameters: ParameterSet | None
    recommendation: Recommendation | None
    is_unread: bool = False


NOTHING_LEARNED = Learning(parameters=None, recommendation=None)


def journal_row(bot: str, signal: Signal, verdict: EntryPlan | Hold, *, client_order_id: str | None = None) -> Decision:
    """Return the row of the bot's journal that keeps a decision."""
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
