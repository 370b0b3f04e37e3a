"""Figures of closed trades."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.costs import Costs
from bot3.trading.figures import equity_curve, level_figures, summary, thinned
from bot3.usecases.fleet.trade_cache import close_frame
from dashboard.cells import RATIO, scaled
from tests.journals import OPENED, a_closed_trade

FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0)
COSTS = Costs(taker_fee=0.0005, maker_fee=0.0002, slippage=0.0001, stop_slippage=0.0003)
profits = st.lists(st.floats(min_value=-0.5, max_value=0.5), min_size=1, max_size=60)


def closes(values: list[float], *, days: int = 10) -> pd.DataFrame:
    trades = [
        a_closed_trade(number + 1, close_date=OPENED + timedelta(days=number % days), close_profit=value, close_profit_abs=100.0 * value)
        for number, value in enumerate(values)
    ]
    return close_frame(trades)


def test_summary_given_no_closes_then_knows_nothing() -> None:
    found = summary(closes([]))

    assert (found.n, found.win_rate.value, found.mean_profit.value, found.money) == (0, None, None, ())


def test_summary_given_closes_then_counts_them() -> None:
    found = summary(closes([0.02, -0.01, 0.03, -0.01, 0.01, 0.0]))

    assert (found.n, found.days) == (6, 6)
    assert found.money[0].profit_abs == pytest.approx(4.0)
    assert found.win_rate.value == pytest.approx(0.5)
    assert found.money[0].profit_factor == pytest.approx(3.0)


def test_summary_given_no_loss_then_has_no_profit_factor() -> None:
    assert summary(closes([0.02, 0.01])).money[0].profit_factor is None


def test_summary_given_few_days_then_gives_no_interval() -> None:
    found = summary(closes([0.02, -0.01] * 20, days=7))

    assert found.mean_profit.value is not None
    assert (found.mean_profit.low, found.win_rate.high) == (None, None)


@given(profits)
def test_summary_given_any_closes_then_the_interval_holds_the_mean(values: list[float]) -> None:
    found = summary(closes(values))

    for estimate in (found.win_rate, found.mean_profit):
        if estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high
    if found.win_rate.low is not None:
        assert 0.0 <= found.win_rate.low <= found.win_rate.high <= 1.0


@given(profits)
def test_equity_curve_given_any_closes_then_ends_at_the_sum(values: list[float]) -> None:
    curve = equity_curve(closes(values), wallet_abs=1_000.0)

    assert curve["equity_abs"].iloc[-1] == pytest.approx(1_000.0 + 100.0 * sum(values))
    assert (curve["drawdown"] <= 0.0).all()
    assert curve["close_date"].is_monotonic_increasing


def test_level_figures_given_no_costs_then_are_the_levels() -> None:
    found = level_figures(stop_loss=-0.05, take_profit_target=0.02, leverage=3.0, costs=FREE)

    assert found.reward_to_risk == pytest.approx(0.4)
    assert found.break_even == pytest.approx(5.0 / 7.0)


@given(st.floats(min_value=-0.5, max_value=-0.001), st.floats(min_value=0.001, max_value=0.5), st.floats(min_value=1.0, max_value=10.0))
def test_level_figures_given_costs_then_ask_for_more_wins(stop_loss: float, target: float, leverage: float) -> None:
    free = level_figures(stop_loss=stop_loss, take_profit_target=target, leverage=leverage, costs=FREE)
    paid = level_figures(stop_loss=stop_loss, take_profit_target=target, leverage=leverage, costs=COSTS)

    assert paid.break_even > free.break_even
    # At the break-even win rate, stop and target alone earn nothing.
    assert paid.break_even * paid.gain + (1.0 - paid.break_even) * paid.loss == pytest.approx(0.0, abs=1e-12)


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=400), st.integers(min_value=4, max_value=60))
def test_thinned_given_any_line_then_keeps_ends_and_extremes(values: list[float], points: int) -> None:
    line = np.array(values)
    kept = thinned(line, points=points)

    assert len(kept) <= max(points + 2, 1)
    assert (kept[0], kept[-1]) == (0, len(line) - 1)
    assert (line[kept].min(), line[kept].max()) == (line.min(), line.max())
    assert (np.diff(kept) > 0).all()


def test_scaled_given_unknown_and_tiny_numbers_then_keeps_the_one_and_drops_the_sign_of_the_other() -> None:
    found = scaled(pd.DataFrame({"x": [0.0123, -0.000001, None]}), {"x": RATIO})["x"]

    assert found.iloc[0] == pytest.approx(1.23)
    assert str(found.iloc[1]) == "0.0"
    assert np.isnan(found.iloc[2])
