"""Decide which signals become trades, and for which reason the others do not.

Decisions depend on their arguments only: the same inputs give the same decision in a backtest, on paper and in live trading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot3.market.regimes import Regime
from bot3.trading.costs import Costs
from bot3.trading.decisions import Book, EntryPlan, Hold, HoldReason, Learning, PairView
from bot3.trading.entries import choose_entry, plan_entry
from bot3.trading.exits import decide_exit
from bot3.trading.holds import hold_of_bot, hold_of_direction, hold_of_market
from bot3.trading.profiles import BotProfile
from bot3.trading.recommendations import FeederTier, Recommendation
from bot3.trading.risk import TradingState
from bot3.trading.signals import Signal
from bot3.trading.trades import RunMode

_TIER_RANK = {FeederTier.TRADE: 0, FeederTier.PROBE: 1, FeederTier.SHADOW: 2}

__all__ = ["Book", "EntryPlan", "Hold", "HoldReason", "Learning", "PairView", "decide_entries", "decide_entry", "decide_exit"]


def decide_entry(
    signal: Signal,
    *,
    profile: BotProfile,
    book: Book,
    view: PairView | None,
    learning: Learning,
    regime: Regime | None,
    costs: Costs,
    run_mode: RunMode,
    state: TradingState,
    now: datetime,
) -> EntryPlan | Hold:
    """Decide on one signal.

    Parameters
    ----------
    book : Book
        The bot's positions and free margin.
    view : PairView or None
        The pair's market data; None if no candle of it is known.
    learning : Learning
        The newest valid parameters and recommendation; a hold if they have expired. Bots with `is_learned` false do not use them.
    regime : Regime or None
        The market's regime in force; if it is unknown (None), a learned bot uses the recommendation's.
    state : TradingState
        The bot's trading state: only an active bot enters trades.
    now : datetime
        Market time.

    Returns
    -------
    EntryPlan or Hold
        The trade to open, rounded to the market's steps, or the first reason not to open one, with the compared numbers.
    """
    hold = hold_of_bot(signal, profile=profile, book=book, state=state, now=now)
    if hold is not None:
        return hold
    if view is None:
        return Hold(pair=signal.pair, reason=HoldReason.STALE_CANDLES, detail={"candle_close_time": None})
    hold = hold_of_market(signal, view=view, limits=profile.limits, now=now)
    if hold is not None:
        return hold
    view = view.over(profile.horizon_of(signal.horizon))
    choice = choose_entry(
        signal, profile=profile, book=book, view=view, learning=learning, regime=regime, costs=costs, run_mode=run_mode, now=now
    )
    if isinstance(choice, Hold):
        return choice
    return plan_entry(signal, choice, profile=profile, book=book, view=view, costs=costs)


def decide_entries(
    signals: Sequence[Signal],
    *,
    profile: BotProfile,
    book: Book,
    views: Mapping[str, PairView],
    learning: Learning,
    regime: Regime | None,
    costs: Costs,
    run_mode: RunMode,
    state: TradingState,
    now: datetime,
) -> list[tuple[Signal, EntryPlan | Hold]]:
    """Decide on all signals of one close, of all pairs, one after the other; each plan reduces the slots and margin left for the next.

    The most confident signal comes first; a learned bot with a recommendation puts signals of feeders in the trade tier before those in the
    probe tier, and those before the shadow tier. Once a pair has a plan, its other signals are held as outranked, or for their direction or
    shadow tier.

    Returns
    -------
    list of (Signal, EntryPlan or Hold)
        Every signal once, in the order of the decisions, which does not depend on the order of `signals`.
    """
    advice = learning.recommendation if profile.is_learned else None
    verdicts: list[tuple[Signal, EntryPlan | Hold]] = []
    opened: dict[str, Signal] = {}
    for signal in sorted(signals, key=lambda signal: _rank(signal, advice=advice)):
        if signal.pair in opened:
            verdicts.append((signal, _outranked(signal, by=opened[signal.pair], profile=profile, advice=advice)))
            continue
        verdict = decide_entry(
            signal,
            profile=profile,
            book=book,
            view=views.get(signal.pair),
            learning=learning,
            regime=regime,
            costs=costs,
            run_mode=run_mode,
            state=state,
            now=now,
        )
        if isinstance(verdict, EntryPlan):
            opened[signal.pair] = signal
            book = book.with_entry(verdict)
        verdicts.append((signal, verdict))
    return verdicts


def _rank(signal: Signal, *, advice: Recommendation | None) -> tuple[int, float, str, str, bool]:
    tier = 0 if advice is None else _TIER_RANK[advice.tier(signal.feeder_id)]
    return tier, -signal.confidence, signal.pair, signal.feeder_id, signal.is_short


def _outranked(signal: Signal, *, by: Signal, profile: BotProfile, advice: Recommendation | None) -> Hold:
    hold = hold_of_direction(signal, profile=profile)
    if hold is not None:
        return hold
    if advice is not None and advice.tier(signal.feeder_id) is FeederTier.SHADOW:
        return Hold(pair=signal.pair, reason=HoldReason.FEEDER_SHADOW, detail={"feeder_id": signal.feeder_id})
    detail: dict[str, str | float] = {"by": by.feeder_id, "their_confidence": by.confidence, "confidence": signal.confidence}
    return Hold(pair=signal.pair, reason=HoldReason.OUTRANKED, detail=detail)
