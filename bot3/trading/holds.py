"""Reasons for a hold (no trade) that depend neither on learning nor on the size: the bot's state, limits and slots, the market data."""

from __future__ import annotations

import math
from datetime import datetime

from bot3.trading.decisions import Book, Hold, HoldReason, PairView
from bot3.trading.profiles import BotProfile
from bot3.trading.risk import Breach, RiskLimits, TradingState, judge_risk, stop_streak_until
from bot3.trading.signals import Signal
from bot3.trading.trades import direction

_STATES = {TradingState.HALTED: HoldReason.HALTED, TradingState.REDUCING: HoldReason.REDUCING}
_BREACHES = {Breach.DAILY_LOSS: HoldReason.DAILY_LOSS, Breach.DRAWDOWN: HoldReason.DRAWDOWN}


def hold_of_bot(signal: Signal, *, profile: BotProfile, book: Book, state: TradingState, now: datetime) -> Hold | None:
    """Return a hold if the bot's directions, state, positions, limits or pauses forbid to trade a signal; None if they do not."""
    hold = hold_of_direction(signal, profile=profile)
    if hold is not None:
        return hold
    if state in _STATES:
        return Hold(pair=signal.pair, reason=_STATES[state], detail={"state": state.value})
    hold = _hold_of_room(signal, profile=profile, book=book)
    if hold is not None:
        return hold
    risk = judge_risk(book.marks, equity_abs=book.equity_abs, limits=profile.limits)
    if risk.breach is not None:
        return Hold(pair=signal.pair, reason=_BREACHES[risk.breach], detail={"loss_ratio": risk.loss_ratio, "limit": risk.limit})
    return _hold_of_pauses(signal, book=book, limits=profile.limits, now=now)


def hold_of_market(signal: Signal, *, view: PairView, limits: RiskLimits, now: datetime) -> Hold | None:
    """Return a hold if candles or signal are too old, the rate is missing or too far from the mark, or sigma is unknown; else None."""
    oldest = min(view.candle_close_time, signal.known_at)
    if now - oldest > limits.max_candle_age:
        detail = {
            "candle_close_time": view.candle_close_time.isoformat(),
            "signal_known_at": signal.known_at.isoformat(),
            "now": now.isoformat(),
        }
        return Hold(pair=signal.pair, reason=HoldReason.STALE_CANDLES, detail=detail)
    if not (0.0 < view.rate < math.inf and 0.0 < view.mark_rate < math.inf):
        return Hold(pair=signal.pair, reason=HoldReason.NO_RATE, detail={"rate": str(view.rate), "mark_rate": str(view.mark_rate)})
    distance = view.rate / view.mark_rate - 1.0
    if abs(distance) > limits.price_collar:
        detail_of_collar = {"rate": view.rate, "mark_rate": view.mark_rate, "distance": distance, "limit": limits.price_collar}
        return Hold(pair=signal.pair, reason=HoldReason.PRICE_COLLAR, detail=detail_of_collar)
    if not 0.0 < view.sigma < math.inf:
        return Hold(pair=signal.pair, reason=HoldReason.NO_VOLATILITY, detail={"sigma": str(view.sigma)})
    return None


def hold_of_direction(signal: Signal, *, profile: BotProfile) -> Hold | None:
    """Return a hold if the bot does not trade the signal's direction, else None."""
    if direction(is_short=signal.is_short) in profile.directions:
        return None
    return Hold(pair=signal.pair, reason=HoldReason.DIRECTION, detail={"directions": ",".join(sorted(profile.directions))})


def _hold_of_room(signal: Signal, *, profile: BotProfile, book: Book) -> Hold | None:
    if signal.pair in book.notionals:
        return Hold(pair=signal.pair, reason=HoldReason.POSITION_OPEN, detail={"notional_abs": book.notionals[signal.pair]})
    if len(book.notionals) >= profile.max_open_trades:
        detail = {"open_trades": len(book.notionals), "max_open_trades": profile.max_open_trades}
        return Hold(pair=signal.pair, reason=HoldReason.SLOTS_FULL, detail=detail)
    return None


def _hold_of_pauses(signal: Signal, *, book: Book, limits: RiskLimits, now: datetime) -> Hold | None:
    until = stop_streak_until(book.stops, now=now, limits=limits)
    if until is not None:
        return Hold(pair=signal.pair, reason=HoldReason.STOP_STREAK, detail={"until": until.isoformat(), "stops": limits.stop_streak})
    closed = book.last_closes.get(signal.pair)
    if closed is not None and now < closed + limits.cool_off:
        return Hold(pair=signal.pair, reason=HoldReason.COOL_OFF, detail={"until": (closed + limits.cool_off).isoformat()})
    return None
