"""The loss limits of a backtest, close by close."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from bot3.market.instants import DAY_US, HOUR_US
from bot3.trading.loss_watch import LossWatch, closes_to_judge
from bot3.trading.open_profit import OpenProfits
from bot3.trading.risk import Breach, EquityMarks
from tests.markets import LIMITS


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [(None, 25, [20]), (None, 20, [20]), (20, 25, []), (19, 25, [20]), (20, 30, [30]), (5, 39, [10, 20, 30]), (0, 20, [10, 20])],
)
def test_closes_to_judge_given_the_last_one_then_are_those_up_to_now(after: int | None, until: int, expected: list[int]) -> None:
    assert list(closes_to_judge(after_us=after, until_us=until, candle_us=10)) == expected


def watch_of(profit: list[float], *, until: int | None = None, marks: EquityMarks | None = None) -> LossWatch:
    """Return a watch that has judged hourly closes from the start of day 10 on; the wallet is 1,000."""
    first_us = 10 * DAY_US
    profits = OpenProfits(first_us=first_us, count=len(profit), candle_us=HOUR_US)
    profits.profit[:] = profit
    watch = LossWatch(LIMITS, marks=marks, latch=None, latched_until_us=0, judged_us=first_us - 1)
    watch.judge(profits, wallet_abs=1_000.0, until_us=first_us + (len(profit) - 1 if until is None else until) * HOUR_US)
    return watch


def test_watch_given_gains_then_marks_the_first_equity_of_the_day_and_the_peak() -> None:
    watch = watch_of([5.0, 20.0, 10.0])

    assert watch.marks == EquityMarks(day=date(1970, 1, 11), day_start_abs=1_005.0, peak_abs=1_020.0)
    assert (watch.latch, watch.judged_us, watch.halts) == (None, 10 * DAY_US + 2 * HOUR_US, {Breach.DAILY_LOSS: 0, Breach.DRAWDOWN: 0})


def test_watch_given_nothing_was_judged_then_has_no_marks() -> None:
    assert LossWatch(LIMITS, marks=None, latch=None, latched_until_us=0, judged_us=0).marks is None


def test_watch_given_a_daily_loss_then_is_latched_until_the_next_day_once() -> None:
    watch = watch_of([0.0, -29.0, -31.0, -40.0])

    assert (watch.latch, watch.latched_until_us) == (Breach.DAILY_LOSS, 11 * DAY_US)
    assert watch.halts == {Breach.DAILY_LOSS: 1, Breach.DRAWDOWN: 0}


def test_watch_given_a_drawdown_after_a_daily_loss_then_replaces_it_and_not_the_reverse() -> None:
    watch = watch_of([0.0, -31.0, -151.0, -40.0])

    assert (watch.latch, watch.halts) == (Breach.DRAWDOWN, {Breach.DAILY_LOSS: 1, Breach.DRAWDOWN: 1})


def test_watch_given_the_next_day_then_is_released_and_starts_a_new_peak_after_a_drawdown() -> None:
    loss, drawdown = (watch_of([0.0] + [low] * 23 + [low] * 3) for low in (-31.0, -151.0))

    assert (loss.latch, drawdown.latch) == (None, None)
    assert loss.marks == EquityMarks(day=date(1970, 1, 12), day_start_abs=969.0, peak_abs=1_000.0)
    assert drawdown.marks == EquityMarks(day=date(1970, 1, 12), day_start_abs=849.0, peak_abs=849.0)
    assert drawdown.halts == {Breach.DAILY_LOSS: 0, Breach.DRAWDOWN: 1}


def test_watch_given_the_closes_in_portions_then_is_as_at_once() -> None:
    rng = np.random.default_rng(1)
    profit = np.cumsum(rng.normal(0.0, 15.0, 96)).tolist()
    profits = OpenProfits(first_us=10 * DAY_US, count=96, candle_us=HOUR_US)
    profits.profit[:] = profit
    watch = LossWatch(LIMITS, marks=None, latch=None, latched_until_us=0, judged_us=10 * DAY_US - 1)

    for until in (7, 7, 30, 31, 95):
        watch.judge(profits, wallet_abs=1_000.0, until_us=10 * DAY_US + until * HOUR_US)

    whole = watch_of(profit)
    assert sum(whole.halts.values()) > 1
    assert (watch.marks, watch.latch, watch.halts, watch.judged_us) == (whole.marks, whole.latch, whole.halts, whole.judged_us)


def test_watch_given_a_state_then_continues_it() -> None:
    marks = EquityMarks(day=date(1970, 1, 11), day_start_abs=1_000.0, peak_abs=1_200.0)

    watch = LossWatch(LIMITS, marks=marks, latch=Breach.DAILY_LOSS, latched_until_us=11 * DAY_US, judged_us=10 * DAY_US)

    assert (watch.marks, watch.latch, watch.latched_until_us) == (marks, Breach.DAILY_LOSS, 11 * DAY_US)
