"""Limits of a bot as a whole."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bot3.errors import InvalidTradeError
from bot3.trading.risk import Breach, EquityMarks, TradingState, judge_risk, mark_equity, stop_streak_until
from tests.markets import CANDLE, LIMITS, NOON

MARKS = EquityMarks(day=NOON.date(), day_start_abs=10_000.0, peak_abs=11_000.0)


@pytest.mark.parametrize(
    ("equity", "state", "breach"),
    [
        (9_701.0, TradingState.ACTIVE, None),
        (9_700.0, TradingState.REDUCING, Breach.DAILY_LOSS),
        (9_500.0, TradingState.HALTED, Breach.DAILY_LOSS),
        (9_350.0, TradingState.HALTED, Breach.DRAWDOWN),
    ],
)
def test_judge_risk_given_a_loss_then_the_stricter_limit_wins(equity: float, state: TradingState, breach: Breach | None) -> None:
    verdict = judge_risk(MARKS, equity_abs=equity, limits=LIMITS)

    assert (verdict.state, verdict.breach) == (state, breach)


def test_mark_equity_given_a_new_day_then_starts_it_and_keeps_the_peak() -> None:
    marks = mark_equity(MARKS, equity_abs=9_000.0, now=NOON + timedelta(days=1))

    assert marks == EquityMarks(day=date(2026, 1, 6), day_start_abs=9_000.0, peak_abs=11_000.0)


def test_mark_equity_given_a_gain_within_the_day_then_raises_the_peak_alone() -> None:
    marks = mark_equity(MARKS, equity_abs=12_000.0, now=NOON)

    assert marks == EquityMarks(day=NOON.date(), day_start_abs=10_000.0, peak_abs=12_000.0)


def test_stop_streak_until_given_four_within_the_window_then_pauses_from_the_newest() -> None:
    stops = [NOON - 3 * CANDLE, NOON - 2 * CANDLE, NOON - CANDLE, NOON]

    assert stop_streak_until(stops, now=NOON + CANDLE, limits=LIMITS) == NOON + 4 * CANDLE
    assert stop_streak_until(stops, now=NOON + 4 * CANDLE, limits=LIMITS) is None


def test_stop_streak_until_given_stops_far_apart_then_does_not_pause() -> None:
    stops = [NOON - 25 * CANDLE, NOON - 2 * CANDLE, NOON - CANDLE, NOON]

    assert stop_streak_until(stops, now=NOON, limits=LIMITS) is None


def test_judge_risk_given_no_equity_to_count_from_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="measured from"):
        judge_risk(EquityMarks(day=NOON.date(), day_start_abs=0.0, peak_abs=0.0), equity_abs=100.0, limits=LIMITS)


def test_judge_risk_given_an_equity_of_nothing_then_is_a_drawdown_and_leaves_the_marks() -> None:
    assert mark_equity(MARKS, equity_abs=-5.0, now=NOON + timedelta(days=1)) == MARKS
    assert judge_risk(MARKS, equity_abs=-5.0, limits=LIMITS).breach is Breach.DRAWDOWN


def test_mark_equity_given_a_first_look_at_nothing_then_starts_with_the_first_equity_above_it() -> None:
    nothing = mark_equity(None, equity_abs=0.0, now=NOON)

    assert judge_risk(nothing, equity_abs=0.0, limits=LIMITS).state is TradingState.HALTED
    assert mark_equity(nothing, equity_abs=50.0, now=NOON) == EquityMarks(day=NOON.date(), day_start_abs=50.0, peak_abs=50.0)
