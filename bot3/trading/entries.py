"""Plan the entry of a signal that may be traded: choose stop, target and leverage, compute the size, round to the market's steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot3.errors import InvalidTradeError
from bot3.market.regimes import Regime
from bot3.trading.costs import Costs
from bot3.trading.decisions import Book, EntryPlan, Hold, HoldReason, Learning, PairView
from bot3.trading.exits import ExitLevels, learned_levels, static_levels
from bot3.trading.markets import LeverageBracket
from bot3.trading.orders import Intent, OrderSide
from bot3.trading.parameters import ExitParameters, ParameterSet, ParameterState
from bot3.trading.profiles import BotProfile
from bot3.trading.recommendations import FeederTier, Recommendation
from bot3.trading.signals import Signal
from bot3.trading.sizing import OutcomeRisk, choose_leverage, free_notional, outcome_notional, smallest_amount, volatility_notional
from bot3.trading.trades import RunMode
from bot3.trading.units import (
    liquidation_rate,
    move_of_rate,
    move_of_stake,
    profit_of_move,
    rate_of_move,
    side,
    stake_of_move,
    stop_inside_liquidation,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChoice:
    """Stop, target and leverage of an entry, and the inputs of its size.

    `size_multiplier` is a factor on the size by the risk target; `outcome` is the risk of the learned levels, and None for stop and target
    of the settings, whose size follows from the volatility; `is_smallest` requests the smallest order; `maintenance_margin_ratio` is that
    of the largest possible order. The other fields are stored with the entry.
    """

    levels: ExitLevels
    leverage: float
    maintenance_margin_ratio: float
    size_multiplier: float
    outcome: OutcomeRisk | None
    is_smallest: bool
    regime: Regime | None
    tier: str
    parameters_version: str | None
    recommendation_version: str | None


def choose_entry(
    signal: Signal,
    *,
    profile: BotProfile,
    book: Book,
    view: PairView,
    learning: Learning,
    regime: Regime | None,
    costs: Costs,
    run_mode: RunMode,
    now: datetime,
) -> EntryChoice | Hold:
    """Choose stop, target and leverage of an entry, from the settings or the learned parameters; return a hold if it may not be traded.

    A bot that learns uses the settings, with the smallest order, only before anything was published, and not in live mode. The view's
    volatility must be that over the trade's horizon (`PairView.over`).
    """
    bracket = _largest_bracket(view, profile=profile, equity_abs=book.equity_abs)
    if not profile.is_learned:
        return _static_choice(signal, profile=profile, view=view, bracket=bracket, costs=costs, regime=regime, tier="control")
    if learning.parameters is None and learning.recommendation is None and not learning.is_unread:
        if run_mode is RunMode.LIVE:
            return Hold(pair=signal.pair, reason=HoldReason.NO_LEARNING_YET)
        return _static_choice(signal, profile=profile, view=view, bracket=bracket, costs=costs, regime=regime, tier="static")
    in_force = _learning_in_force(signal, learning=learning, now=now)
    if isinstance(in_force, Hold):
        return in_force
    parameters, recommendation = in_force
    return _learned_choice(
        signal,
        profile=profile,
        view=view,
        bracket=bracket,
        parameters=parameters,
        recommendation=recommendation,
        regime=regime or recommendation.regime,
    )


def planned_notional(entry: Intent) -> float:
    """Return the notional that an entry order was planned with, at the rate that its stop was computed from.

    Raises
    ------
    InvalidTradeError
        If its context lacks the stop.
    """
    stop_rate, stop_loss = entry.context.get("stop_rate"), entry.context.get("stop_loss")
    if not isinstance(stop_rate, int | float) or not isinstance(stop_loss, int | float):
        raise InvalidTradeError(f"an entry's context has a missing or invalid stop_rate or stop_loss: {dict(entry.context)}")
    stop_move = move_of_stake(stop_loss, leverage=entry.leverage)
    return float(entry.amount) * stop_rate / (1.0 + side(is_short=entry.side is OrderSide.SELL) * stop_move)


def plan_entry(signal: Signal, choice: EntryChoice, *, profile: BotProfile, book: Book, view: PairView, costs: Costs) -> EntryPlan | Hold:
    """Return the plan of an entry, sized and rounded; return a hold if its levels, the market's minimums or the bot's caps forbid it."""
    priced = price_levels(signal, choice, view=view, costs=costs)
    if isinstance(priced, Hold):
        return priced
    amount = _sized(signal, choice, profile=profile, book=book, view=view, costs=costs)
    if isinstance(amount, Hold):
        return amount
    notional = float(amount) * view.rate
    open_rate = costs.entry_rate(view.rate, is_short=signal.is_short)
    return EntryPlan(
        pair=signal.pair,
        is_short=signal.is_short,
        candle_close_time=signal.known_at,
        feeder_id=signal.feeder_id,
        confidence=signal.confidence,
        leverage=choice.leverage,
        amount=amount,
        notional_abs=notional,
        stake_abs=notional / choice.leverage,
        stop_rate=priced[0],
        take_profit_rate=priced[1],
        context={
            **_context(signal, choice, profile=profile, view=view, rates=priced, open_rate=open_rate),
            "liquidation_price": liquidation_rate(
                open_rate=open_rate,
                leverage=choice.leverage,
                maintenance_margin_ratio=view.market.bracket(notional).maintenance_margin_ratio,
                is_short=signal.is_short,
            ),
        },
    )


def price_levels(signal: Signal, choice: EntryChoice, *, view: PairView, costs: Costs) -> tuple[Decimal, Decimal | None] | Hold:
    """Compute stop and target rates (None: no target): the stop inside liquidation, both on ticks, a nearer stop and a farther target.

    Return a hold if the target does not cover the fees, the stop would trigger at the entry's rate, or the target's rate is not above 0.
    """
    is_short, market, target_move = signal.is_short, view.market, choice.levels.take_profit_move
    has_target = math.isfinite(target_move)
    if has_target:
        fees = {"fee_open": costs.taker_fee, "fee_close": costs.taker_fee}
        target_profit = profit_of_move(target_move, leverage=choice.leverage, is_short=is_short, **fees)
        if not target_profit > 0.0:
            detail = {"take_profit_move": target_move, "profit_after_fees": target_profit}
            return Hold(pair=signal.pair, reason=HoldReason.TARGET_BELOW_COSTS, detail=detail)
    open_rate = costs.entry_rate(view.rate, is_short=is_short)
    stop_move = stop_inside_liquidation(
        choice.levels.stop_move,
        leverage=choice.leverage,
        maintenance_margin_ratio=choice.maintenance_margin_ratio,
        is_short=is_short,
    )
    stop = market.round_rate(rate_of_move(stop_move, open_rate=open_rate, is_short=is_short), up=not is_short)
    target = None
    if has_target:
        target = market.round_rate(rate_of_move(target_move, open_rate=open_rate, is_short=is_short), up=not is_short)
    if _is_touched(stop, view=view, is_short=is_short) or (target is not None and not target > 0):
        target_rate = {} if target is None else {"take_profit_rate": float(target)}
        detail = {"stop_rate": float(stop), **target_rate, "rate": view.rate, "tick": float(market.rate_tick)}
        return Hold(pair=signal.pair, reason=HoldReason.STOP_WITHIN_SPREAD, detail=detail)
    return stop, target


def _is_touched(stop: Decimal, *, view: PairView, is_short: bool) -> bool:
    """Return whether a stop would trigger at the rate of the entry itself."""
    return float(stop) <= view.rate if is_short else float(stop) >= view.rate


def _static_choice(
    signal: Signal, *, profile: BotProfile, view: PairView, bracket: LeverageBracket, costs: Costs, regime: Regime | None, tier: str
) -> EntryChoice:
    spans = profile.bins.spans(profile.bins.names, highest=min(profile.leverage_cap, bracket.max_leverage))
    leverage = choose_leverage(sigma=view.sigma, target_volatility=profile.target_volatility, spans=spans)
    return EntryChoice(
        levels=static_levels(profile=profile, leverage=leverage, is_short=signal.is_short, costs=costs),
        leverage=leverage,
        maintenance_margin_ratio=bracket.maintenance_margin_ratio,
        size_multiplier=1.0,
        outcome=None,
        is_smallest=profile.is_learned,
        regime=regime,
        tier=tier,
        parameters_version=None,
        recommendation_version=None,
    )


def _learned_choice(
    signal: Signal,
    *,
    profile: BotProfile,
    view: PairView,
    bracket: LeverageBracket,
    parameters: ParameterSet,
    recommendation: Recommendation,
    regime: Regime,
) -> EntryChoice | Hold:
    highest = min(profile.leverage_cap, bracket.max_leverage)
    spans = profile.bins.spans(recommendation.open_bins, highest=highest)
    if not spans:
        bins = ", ".join(recommendation.open_bins)
        return Hold(pair=signal.pair, reason=HoldReason.LEVERAGE_RANGE, detail={"open_bins": bins, "highest": highest})
    leverage = choose_leverage(sigma=view.sigma, target_volatility=profile.target_volatility, spans=spans)
    row = parameters.find(
        pair=signal.pair, is_short=signal.is_short, leverage_bin=profile.bins.name_of(leverage), horizon=profile.horizon_of(signal.horizon)
    )
    if row.state is ParameterState.SHADOW:
        return Hold(pair=signal.pair, reason=HoldReason.BIN_SHADOW, detail={"key": row.key, "upper_bound": row.upper_bound})
    tier = recommendation.tier(signal.feeder_id)
    levels = learned_levels(row, parameters=parameters, regime=regime, sigma=view.sigma, is_short=signal.is_short)
    outcome = _outcome(row, levels=levels, sigma=view.sigma)
    is_full = recommendation.permits(signal.feeder_id, is_short=signal.is_short)
    # Rows of older releases do not tell the risk of their levels.
    is_smallest = not is_full or row.state is not ParameterState.TRADE or outcome is None
    if not is_smallest and not row.lower_bound > 0.0:
        return Hold(pair=signal.pair, reason=HoldReason.NO_EDGE, detail={"key": row.key, "lower_bound": row.lower_bound})
    return EntryChoice(
        levels=levels,
        leverage=leverage,
        maintenance_margin_ratio=bracket.maintenance_margin_ratio,
        size_multiplier=recommendation.suggested_position_size_multiplier,
        outcome=outcome,
        is_smallest=is_smallest,
        regime=regime,
        tier=tier.value,
        parameters_version=parameters.version,
        recommendation_version=recommendation.version,
    )


def _outcome(row: ExitParameters, *, levels: ExitLevels, sigma: float) -> OutcomeRisk | None:
    """Return the risk of a row's levels at the volatility at entry; None if the row does not contain it."""
    if row.deviation_move is None or row.worst_move is None:
        return None
    costs = row.worst_move - row.stop_move
    return OutcomeRisk(
        deviation_move=row.deviation_move * sigma / row.sigma_ref,
        worst_move=levels.stop_move + costs,
        lower_bound=row.lower_bound,
    )


def _learning_in_force(signal: Signal, *, learning: Learning, now: datetime) -> tuple[ParameterSet, Recommendation] | Hold:
    parameters, recommendation = learning.parameters, learning.recommendation
    if recommendation is None:
        return Hold(pair=signal.pair, reason=HoldReason.MISSING_RECOMMENDATION)
    if parameters is None:
        return Hold(pair=signal.pair, reason=HoldReason.MISSING_PARAMETERS)
    if now >= recommendation.expires_at:
        detail = {"expired_at": recommendation.expires_at.isoformat(), "version": recommendation.version}
        return Hold(pair=signal.pair, reason=HoldReason.EXPIRED_RECOMMENDATION, detail=detail)
    if now >= parameters.expires_at:
        detail = {"expired_at": parameters.expires_at.isoformat(), "version": parameters.version}
        return Hold(pair=signal.pair, reason=HoldReason.EXPIRED_PARAMETERS, detail=detail)
    if recommendation.tier(signal.feeder_id) is FeederTier.SHADOW:
        return Hold(pair=signal.pair, reason=HoldReason.FEEDER_SHADOW, detail={"feeder_id": signal.feeder_id})
    return parameters, recommendation


def _sized(signal: Signal, choice: EntryChoice, *, profile: BotProfile, book: Book, view: PairView, costs: Costs) -> Decimal | Hold:
    """Compute the amount: the smallest order if it is requested, else the minimum of risk target, half Kelly and free notional."""
    room = free_notional(
        equity_abs=book.equity_abs,
        free_abs=book.free_abs,
        pair_notional_abs=book.notionals.get(signal.pair, 0.0),
        gross_notional_abs=sum(book.notionals.values()),
        leverage=choice.leverage,
        fee=costs.taker_fee,
        profile=profile,
    )
    smallest = smallest_amount(view.market, rate=view.rate)
    smallest_abs = float(smallest) * view.rate
    if smallest_abs > room:
        return Hold(pair=signal.pair, reason=HoldReason.CAPS, detail={"free_notional_abs": room, "smallest_abs": smallest_abs})
    if choice.is_smallest:
        return smallest
    if choice.outcome is None:
        wanted = volatility_notional(equity_abs=book.equity_abs, sigma=view.sigma, profile=profile) * choice.size_multiplier
    else:
        wanted = outcome_notional(choice.outcome, equity_abs=book.equity_abs, multiplier=choice.size_multiplier, limits=profile.size_limits)
    amount = view.market.round_amount(min(wanted, room) / view.rate)
    if amount < smallest:
        detail = {"wanted_abs": wanted, "free_notional_abs": room, "smallest_abs": smallest_abs}
        return Hold(pair=signal.pair, reason=HoldReason.BELOW_MIN_NOTIONAL, detail=detail)
    return amount


def _largest_bracket(view: PairView, *, profile: BotProfile, equity_abs: float) -> LeverageBracket:
    """Return the leverage bracket of the largest order that the caps allow: its limits are valid for every smaller order too."""
    by_order = profile.max_stake_ratio * profile.leverage_cap
    return view.market.bracket(equity_abs * min(by_order, profile.max_pair_notional_ratio))


def _context(
    signal: Signal, choice: EntryChoice, *, profile: BotProfile, view: PairView, rates: tuple[Decimal, Decimal | None], open_rate: float
) -> dict[str, str | float | int | bool | None]:
    stop_move = move_of_rate(float(rates[0]), open_rate=open_rate, is_short=signal.is_short)
    return {
        "feeder_id": signal.feeder_id,
        "confidence": signal.confidence,
        "model_digest": signal.model_digest,
        "sigma": view.sigma,
        "horizon": profile.horizon_of(signal.horizon).value,
        "stop_loss": stake_of_move(stop_move, leverage=choice.leverage),
        "stop_rate": float(rates[0]),
        "take_profit_rate": None if rates[1] is None else float(rates[1]),
        **profile.exit_rules.of_trade(sigma=view.sigma, expires_at=signal.known_at + profile.duration_of(signal.horizon)).context(),
        "parameters_version": choice.parameters_version,
        "parameters_key": choice.levels.source,
        "recommendation_version": choice.recommendation_version,
        "regime": None if choice.regime is None else choice.regime.value,
        "tier": choice.tier,
    }
