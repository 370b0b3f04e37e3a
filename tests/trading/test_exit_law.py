"""Every implementation of the exit law gives the same event and the same fill, in each worked case and on random candles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.replay_numpy import numpy_sums
from benchmarks.replay_world import GROUPS, HORIZON, ReplayWorld
from bot3.adapters.paper.exchange import PaperExchange
from bot3.learning.feeders.labels import Barriers, LabelCosts, barrier_labels
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.kernel import TOTAL
from bot3.learning.replay.order_replay import PositionOrder, PositionPath, replay_position
from bot3.learning.replay.replay import ReplayCandles, ReplayCosts, TradePaths, outcomes
from bot3.trading.costs import Costs
from bot3.trading.decide import decide_exit
from bot3.trading.exit_law import (
    CASE_ACTIVATION,
    CASE_LEVERAGE,
    CASE_MAINTENANCE,
    CASE_RATE,
    CASE_SHARE,
    CASES,
    EVENTS,
    GAVE_BACK,
    HELD,
    LIQUIDATED,
    NO_RULE,
    REACHED,
    TIMED_OUT,
    ExitCase,
    Moment,
    exit_event,
)
from bot3.trading.exit_rules import ExitRule, ExitRules
from bot3.trading.matching import EXIT_REASONS, OpenPath, margin_rates, match_trade
from bot3.trading.orders import IntentLeg, OrderSide, OrderType
from bot3.trading.trades import ExitReason
from bot3.trading.units import side
from tests.clocks import MovableClock
from tests.deploy.test_freqtrade_strategy_callbacks import NOW, TradeOfFreqtrade, a_strategy, mixin
from tests.journals import ACCOUNT, an_intent
from tests.markets import BTC, CANDLE, FIRST, FixedMarkets, FrameCandles, a_market, arrays, candle_frame

Outcome = tuple[int, float]
CANDLE_US = CANDLE // timedelta(microseconds=1)
FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0)
FREE_REPLAY = ReplayCosts(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=CASE_MAINTENANCE)
SIGMA = 0.01
RULES = ExitRules(giveback_activation_sigma=CASE_ACTIVATION / SIGMA, giveback_share=CASE_SHARE)
AT_CLOSE = {GAVE_BACK, TIMED_OUT}
CODES = {reason: code for code, reason in EXIT_REASONS.items()}


def frame_of(case: ExitCase, *, before: int = 0, after: int = 1) -> pd.DataFrame:
    """Return flat candles, the entry's candle that reaches the best rate, the case's candle, and flat candles at its close."""
    best, close = case.best_rate, case.candle[3]
    first = (100.0, max(100.0, best), min(100.0, best), best)
    return candle_frame([(100.0,) * 4] * before + [first, case.candle] + [(close,) * 4] * after)


def levels_of(case: ExitCase) -> tuple[float, float, float, float]:
    margins = margin_rates(open_rate=CASE_RATE, is_short=case.is_short, leverage=CASE_LEVERAGE, maintenance_margin_ratio=CASE_MAINTENANCE)
    return case.stop, case.target, *margins


def moves_of(case: ExitCase) -> tuple[float, float]:
    """Return the distances of stop and target, moves of the price above 0."""
    sign = side(is_short=case.is_short)
    return -sign * (case.stop / CASE_RATE - 1.0), sign * (case.target / CASE_RATE - 1.0)


def rate_of(case: ExitCase, net: float) -> float:
    """Return the fill of a net move without costs."""
    return CASE_RATE * (1.0 + side(is_short=case.is_short) * net)


def function(case: ExitCase) -> Outcome:
    _, high, low, _ = case.candle
    best = min(case.best_rate, low) if case.is_short else max(case.best_rate, high)
    state, rule = (CASE_RATE, best, case.is_over), (CASE_ACTIVATION, CASE_SHARE, math.inf)
    return exit_event(side(is_short=case.is_short), case.candle, levels_of(case), state, rule)


def matching(case: ExitCase) -> Outcome:
    over_at = FIRST + (2 if case.is_over else 9) * CANDLE
    path = OpenPath(
        entry=0,
        is_short=case.is_short,
        leverage=CASE_LEVERAGE,
        open_rate=CASE_RATE,
        stop_rate=case.stop,
        take_profit_rate=case.target,
        maintenance_margin_ratio=CASE_MAINTENANCE,
        rule=ExitRule(giveback_activation_move=CASE_ACTIVATION, giveback_share=CASE_SHARE, expires_at=over_at),
        break_even_rate=CASE_RATE,
    )
    found = match_trade(arrays(frame_of(case)), path, costs=FREE, candle_us=CANDLE_US)
    return (HELD, 0.0) if found is None else (CODES[found.reason], found.close_rate)


def daemon(case: ExitCase) -> Outcome:
    """Return what the daemon decides at the close; the events before it are the exchange's."""
    _, high, low, close = case.candle
    rule = ExitRule(
        giveback_activation_move=CASE_ACTIVATION, giveback_share=CASE_SHARE, expires_at=FIRST + (CANDLE if case.is_over else 2 * CANDLE)
    )
    reason = decide_exit(
        rule,
        is_short=case.is_short,
        open_rate=CASE_RATE,
        best_rate=min(case.best_rate, low) if case.is_short else max(case.best_rate, high),
        close_rate=close,
        candle_close_time=FIRST + CANDLE,
    )
    return (HELD, 0.0) if reason is None else (CODES[reason], close)


def paper(case: ExitCase) -> Outcome:
    """Return what the paper exchange fills; it has no events at the close."""
    clock = MovableClock(FIRST + timedelta(seconds=1))
    closing = OrderSide.BUY if case.is_short else OrderSide.SELL
    with TemporaryDirectory() as directory:
        exchange = PaperExchange(
            Path(directory) / "BOT1.sqlite",
            account=ACCOUNT,
            wallet_abs=10_000.0,
            candles=FrameCandles({BTC: frame_of(case)}),
            markets=FixedMarkets(a_market()),
            clock=clock,
            costs=FREE,
        )
        entry = replace(
            an_intent(),
            pair=BTC,
            side=OrderSide.SELL if case.is_short else OrderSide.BUY,
            amount=Decimal(1),
            leverage=CASE_LEVERAGE,
            candle_close_time=FIRST,
        )
        exchange.create_order(entry)
        resting = replace(entry, side=closing, reduce_only=True)
        stop = replace(resting, leg=IntentLeg.STOP, order_type=OrderType.STOP_MARKET, trigger_rate=Decimal(str(case.stop)))
        target = replace(resting, leg=IntentLeg.TARGET, order_type=OrderType.TAKE_PROFIT_MARKET, trigger_rate=Decimal(str(case.target)))
        exchange.create_order(stop)
        exchange.create_order(target)
        clock.move(2 * CANDLE.total_seconds())
        fills = exchange.fetch_fills(since=FIRST)[1:]
        exchange.close()
    if not fills:
        return HELD, 0.0
    legs = {stop.client_order_id: CODES[ExitReason.STOP_LOSS], target.client_order_id: REACHED}
    return legs.get(fills[0].client_order_id, LIQUIDATED), float(fills[0].rate)


def replayed_candles(case: ExitCase, *, after: int) -> CandleArrays:
    return arrays(frame_of(case, before=1, after=after))


def kernel(case: ExitCase) -> Outcome:
    stop, target = moves_of(case)
    candles = replayed_candles(case, after=1)
    paths = TradePaths(
        entry=np.array([0]),
        end=np.array([3 if case.is_over else 4]),
        open_rate=np.array([CASE_RATE]),
        is_short=np.array([case.is_short]),
        leverage=np.array([CASE_LEVERAGE]),
        sigma=np.array([SIGMA]),
    )
    left = outcomes(
        ReplayCandles.of(candles),
        paths,
        stop_sigma=np.array([stop / SIGMA]),
        target_sigma=np.array([target / SIGMA]),
        costs=FREE_REPLAY,
        exit_rules=RULES,
    )
    return int(left.code[0]), rate_of(case, float(left.net[0]))


def orders(case: ExitCase) -> Outcome:
    stop, target = moves_of(case)
    path = PositionPath(
        orders=[PositionOrder(candle=0, is_entry=True, rate=CASE_RATE, amount=1.0)],
        end=3,
        is_short=case.is_short,
        leverage=CASE_LEVERAGE,
        sigma=SIGMA,
    )
    candles = ReplayCandles.of(replayed_candles(case, after=1))
    left = replay_position(candles, path, stop_sigma=stop / SIGMA, target_sigma=target / SIGMA, costs=FREE_REPLAY)
    return left.code, rate_of(case, left.net)


def rival(case: ExitCase, *, by_corners: bool) -> Outcome:
    """Return the fill of the numpy rival; it computes sums of net moves, no codes."""
    stop, target = moves_of(case)
    candles = replayed_candles(case, after=HORIZON)
    paths = TradePaths(
        entry=np.array([0]),
        end=np.array([HORIZON + 1]),
        open_rate=np.array([CASE_RATE]),
        is_short=np.array([case.is_short]),
        leverage=np.array([CASE_LEVERAGE]),
        sigma=np.array([SIGMA]),
    )
    world = ReplayWorld(candles=ReplayCandles.of(candles), plain={}, paths=paths, group=np.zeros(1, np.int64))
    grid = ExitGrid(stops=np.array([stop / SIGMA]), targets=np.array([target / SIGMA]))
    found = numpy_sums(world, grid=grid, costs=FREE_REPLAY, by_corners=by_corners)
    assert len(found.n) == GROUPS
    return -1, rate_of(case, float(found.sums[0, TOTAL, 0, 0]))


def label(case: ExitCase) -> Outcome:
    """Return the fill of a label; it has no code, no liquidation and no giveback."""
    stop, target = moves_of(case)
    candles = replayed_candles(case, after=1)
    made = barrier_labels(
        open_us=candles.open_us,
        rates=(candles.open, candles.high, candles.low, candles.close),
        sigma=np.ones(4),
        barriers=Barriers(stop_sigma=stop, target_sigma=target, horizon_candles=2),
        is_short=case.is_short,
        costs=LabelCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0),
    )
    return -1, rate_of(case, float(made.net_move[0]))


def freqtrade(case: ExitCase, *, directory: Path) -> Outcome:
    """Return what the mixin decides at the close, or at the open of the candle if the event is there."""
    is_at_open = case.moment is Moment.OPEN
    at = NOW + (1 if is_at_open else 2) * CANDLE
    frame = frame_of(case, after=0).iloc[: 1 if is_at_open else 2]
    seen = frame.assign(date=pd.date_range(pd.Timestamp(NOW), periods=len(frame), freq="5min"), bot3_sigma=0.04)
    plan = mixin.Plan(
        pair=BTC,
        is_short=case.is_short,
        enter_tag="F03",
        leverage=CASE_LEVERAGE,
        stop_move=-moves_of(case)[0],
        take_profit_move=moves_of(case)[1],
        giveback_activation_move=CASE_ACTIVATION,
        expires_at=(at if case.is_over else at + 9 * CANDLE).isoformat(),
    )
    trade = TradeOfFreqtrade(is_short=case.is_short, leverage=CASE_LEVERAGE, kept={mixin.PLAN: json.dumps(mixin.asdict(plan))})
    rate = case.candle[0 if is_at_open else 3]
    reason = a_strategy(directory, frame=seen).custom_exit(pair=BTC, trade=trade, current_time=at, current_rate=rate)
    code = {None: HELD, "take_profit": REACHED, "giveback": GAVE_BACK, "time_exit": TIMED_OUT}[reason]
    return code, rate if code != HELD else 0.0


def is_seen_by_freqtrade(case: ExitCase) -> bool:
    """Return whether the mixin decides on the event; stops, and targets touched inside a candle, are freqtrade's own."""
    return case.moment is Moment.CLOSE or (case.moment is Moment.OPEN and case.code == REACHED)


def held_until_close(case: ExitCase) -> Outcome:
    """Return the outcome of an implementation without events at the close, which values the trade at its last close."""
    return (HELD, case.candle[3]) if case.code in AT_CLOSE | {HELD} else (case.code, case.fill)


def of_kernel(case: ExitCase) -> Outcome:
    """Return the kernel's outcome: a path that ends with its horizon ends at the last close, whatever the giveback says there."""
    return held_until_close(case) if case.is_over or case.code == HELD else (case.code, case.fill)


def fill_alone(case: ExitCase) -> Outcome:
    return -1, held_until_close(case)[1]


def of_law(case: ExitCase) -> Outcome:
    return case.code, case.fill


def of_exchange(case: ExitCase) -> Outcome:
    return (HELD, 0.0) if case.code in AT_CLOSE else (case.code, case.fill)


IMPLEMENTATIONS: dict[str, tuple[Callable[[ExitCase], Outcome], Callable[[ExitCase], Outcome]]] = {
    "function": (function, of_law),
    "matching": (matching, of_law),
    "paper exchange": (paper, of_exchange),
    "kernel": (kernel, of_kernel),
    "orders": (orders, held_until_close),
    "numpy cells": (lambda case: rival(case, by_corners=False), fill_alone),
    "numpy corners": (lambda case: rival(case, by_corners=True), fill_alone),
}
PURE = {name: pair for name, pair in IMPLEMENTATIONS.items() if name != "paper exchange"}
named = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@named
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_implementation_given_a_worked_case_then_gives_its_event_and_fill(name: str, case: ExitCase) -> None:
    compute, expected = IMPLEMENTATIONS[name]

    code, fill = compute(case)

    assert (code, fill) == (expected(case)[0], pytest.approx(expected(case)[1], rel=1e-9))


@pytest.mark.parametrize("case", [case for case in CASES if case.code != LIQUIDATED], ids=lambda case: case.name)
def test_label_given_a_worked_case_without_liquidation_then_gives_its_fill(case: ExitCase) -> None:
    assert label(case) == (-1, pytest.approx(fill_alone(case)[1], rel=1e-9))


@pytest.mark.parametrize("case", [case for case in CASES if case.moment is Moment.CLOSE], ids=lambda case: case.name)
def test_daemon_given_a_worked_case_at_the_close_then_decides_its_event(case: ExitCase) -> None:
    assert daemon(case) == (case.code, case.fill)


@pytest.mark.parametrize("case", [case for case in CASES if is_seen_by_freqtrade(case)], ids=lambda case: case.name)
def test_mixin_given_a_worked_case_then_decides_its_event(case: ExitCase, tmp_path: Path) -> None:
    assert freqtrade(case, directory=tmp_path) == (case.code, case.fill)


def test_cases_contain_every_event_of_the_table_for_both_directions() -> None:
    tested = {(case.code, case.moment, case.is_short) for case in CASES}

    assert tested >= {(event.code, event.moment, is_short) for event in EVENTS for is_short in (False, True)}


halves = st.integers(0, 160).map(lambda half: 60.0 + half / 2.0)


@st.composite
def cases(draw: st.DrawFn) -> ExitCase:
    """Draw a case of rates in halves, which float32 represents exactly; liquidation rates are never whole halves."""
    is_short = draw(st.booleans())
    sign = side(is_short=is_short)
    distances = (draw(st.integers(1, 70)) / 2.0, draw(st.integers(2, 70)) / 2.0)
    best = 100.0 + sign * draw(st.integers(0, round(distances[1] * 2.0) - 1)) / 2.0
    rates = sorted(draw(st.lists(halves, min_size=4, max_size=4)))
    opened, close = draw(st.permutations(rates[1:3]))
    drawn = ExitCase(
        name="drawn",
        is_short=is_short,
        candle=(opened, rates[3], rates[0], close),
        stop=100.0 - sign * distances[0],
        target=100.0 + sign * distances[1],
        best_rate=best,
        is_over=draw(st.booleans()),
        code=HELD,
        fill=0.0,
        moment=Moment.CLOSE,
    )
    code, fill = function(drawn)
    return replace(drawn, code=code, fill=fill)


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_implementations_given_random_candles_then_all_agree_with_the_law(case: ExitCase) -> None:
    # The paper exchange is left out: it opens a database for each example, and calls the function itself.
    for name, (compute, expected) in PURE.items():
        code, fill = compute(case)

        assert (code, fill) == (expected(case)[0], pytest.approx(expected(case)[1], rel=1e-9)), name
    if case.code != LIQUIDATED:
        assert label(case)[1] == pytest.approx(fill_alone(case)[1], rel=1e-9)


def test_exit_event_given_no_orders_and_no_liquidation_then_the_trade_stays_open() -> None:
    levels = (math.nan, math.nan, 0.0, 0.0)

    assert exit_event(1.0, (100.0, 1e9, 1e-9, 100.0), levels, (100.0, 1e9, False), NO_RULE) == (HELD, 0.0)


def test_mixin_given_a_giveback_at_the_close_and_a_rate_beyond_the_target_then_the_close_was_first(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.code == GAVE_BACK)

    assert freqtrade(replace(case, target=101.25), directory=tmp_path)[0] == GAVE_BACK
