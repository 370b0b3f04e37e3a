"""Figures of money: weighted by stake, never across currencies."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.figures import (
    AVG_PROFIT_MARK,
    DRAWDOWN_MARK,
    PROFIT_FACTOR_MARK,
    Summary,
    by_currency,
    equity_curve,
    level_figures,
    notional_sums,
    profit_sums,
    summary,
    thinned,
)
from bot3.trading.intervals import UNKNOWN
from bot3.trading.trades import Trade
from bot3.usecases.fleet.trade_cache import close_frame
from tests.journals import OPENED, a_closed_trade
from tests.markets import COSTS

PAIRS = ("BTC/USDT:USDT", "ETH/USDT", "ETH/BTC", "XRP/USDC:USDC", "ADAUSDT")


def test_marks_are_those_of_the_pages() -> None:
    assert (AVG_PROFIT_MARK, PROFIT_FACTOR_MARK, DRAWDOWN_MARK) == (0.003, 1.5, -0.10)


def test_level_figures_given_costs_then_a_stop_costs_both_fees_and_both_slippages_and_a_target_one_slippage() -> None:
    found = level_figures(stop_loss=-0.05, take_profit_target=0.04, leverage=2.0, costs=COSTS)

    assert found.costs == pytest.approx(2.0 * (2.0 * 0.0005 + 0.0001 + 0.0003))
    assert found.loss == pytest.approx(-0.0528)
    assert found.gain == pytest.approx(0.0398)
    assert found.reward_to_risk == pytest.approx(0.0398 / 0.0528)
    assert found.break_even == pytest.approx(0.0528 / (0.0398 + 0.0528))


def test_equity_curve_given_closes_out_of_order_then_is_in_order_and_falls_from_its_peak() -> None:
    closes = pd.DataFrame(
        {"close_date": pd.to_datetime(["2026-01-03", "2026-01-01", "2026-01-02"]), "close_profit_abs": [-24.0, -10.0, 30.0]}
    )

    found = equity_curve(closes, wallet_abs=100.0)

    assert found["close_date"].dt.day.tolist() == [1, 2, 3]
    assert found["equity_abs"].tolist() == [90.0, 120.0, 96.0]
    assert found["drawdown"].tolist() == pytest.approx([-0.1, 0.0, -0.2])


def test_equity_curve_given_no_close_then_is_empty() -> None:
    closes = pd.DataFrame({"close_date": pd.to_datetime([]), "close_profit_abs": np.zeros(0)})

    assert equity_curve(closes, wallet_abs=100.0).shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "points", "rows"),
    [
        ([0, 5, 1, 2, -3, 4, 9, 3, -7, 2], 4, [0, 1, 4, 6, 8, 9]),
        ([0, 1, 2, 3, 4], 5, [0, 1, 2, 3, 4]),
        ([0, 1, 2, 3, 4], 1, [0, 4]),
        ([1, 2, 3, 0, 9, 4], 2, [0, 3, 4, 5]),
        ([], 4, []),
    ],
)
def test_thinned_given_a_line_then_keeps_both_ends_and_the_extremes_of_each_section(
    values: list[int], points: int, rows: list[int]
) -> None:
    assert thinned(np.array(values, dtype=np.float64), points=points).tolist() == rows


def a_close(number: int, *, pair: str = "BRAVO/USDT:USDT", stake: float, ratio: float, day: int = 0) -> Trade:
    closed = OPENED + timedelta(days=day)
    return a_closed_trade(number, pair=pair, stake_amount=stake, close_profit=ratio, close_profit_abs=stake * ratio, close_date=closed)


def probes_and_stakes() -> list[Trade]:
    """Return a pair whose probes win in ratio while its stakes lose 53.51 USDT."""
    probes = [(3.0, 0.10)] * 15 + [(3.0, -0.08)] * 8
    stakes = [(1_000.0, 0.0406)] * 3 + [(1_000.0, -0.0591)] * 3
    trades = [*probes, *stakes]
    return [a_close(number, stake=stake, ratio=ratio, day=number % 10) for number, (stake, ratio) in enumerate(trades, start=1)]


def test_summary_given_small_probes_that_win_and_large_stakes_that_lose_then_money_says_loss() -> None:
    found = summary(close_frame(probes_and_stakes()))
    money = found.of("USDT")

    assert found.mean_profit.value > 0.01
    assert money is not None
    assert money.profit_abs == pytest.approx(3.0 * (15 * 0.10 - 8 * 0.08) + 1_000.0 * 3 * (0.0406 - 0.0591))
    assert money.profit_abs < -50.0
    assert money.return_on_stake.value == pytest.approx(money.profit_abs / (23 * 3.0 + 6_000.0))
    assert money.return_on_stake.value < 0.0
    assert money.profit_factor == pytest.approx((3.0 * 1.5 + 3_000.0 * 0.0406) / (3.0 * 0.64 + 3_000.0 * 0.0591))
    assert money.profit_factor < 0.75


def test_summary_given_two_currencies_then_each_has_its_own_figures() -> None:
    trades = [
        a_close(1, pair="ETH/BTC", stake=0.02, ratio=0.05),
        a_close(2, pair="ETH/BTC", stake=0.02, ratio=-0.01),
        a_close(3, pair="BTC/USDT:USDT", stake=100.0, ratio=-0.03),
    ]

    found = summary(close_frame(trades))

    assert [(money.currency, money.n) for money in found.money] == [("BTC", 2), ("USDT", 1)]
    assert [money.profit_abs for money in found.money] == [pytest.approx(0.0008), pytest.approx(-3.0)]
    assert [money.profit_factor for money in found.money] == [pytest.approx(5.0), 0.0]
    assert found.of("EUR") is None


def test_summary_given_no_close_then_has_no_money() -> None:
    assert summary(close_frame([])) == Summary(n=0, days=0, win_rate=UNKNOWN, mean_profit=UNKNOWN, money=())
    assert profit_sums(close_frame([])) == {}


def test_summary_given_few_days_then_money_has_no_interval_and_from_the_least_on_has_one() -> None:
    def money_on(days: int) -> pd.DataFrame:
        ratios = (0.02, -0.01, 0.03)
        return close_frame([a_close(n + 1, stake=50.0 + n, ratio=ratios[n % 3], day=n % days) for n in range(40)])

    seven, eight = summary(money_on(7)).money[0].return_on_stake, summary(money_on(8)).money[0].return_on_stake

    assert (seven.low, seven.high) == (None, None)
    assert eight.low < eight.value < eight.high


def test_summary_given_closes_of_two_days_then_counts_them_and_a_profit_of_zero_is_no_win() -> None:
    ratios = (0.02, 0.0, -0.01, 0.04)

    found = summary(close_frame([a_close(n + 1, stake=50.0, ratio=ratio, day=n // 2) for n, ratio in enumerate(ratios)]))

    assert (found.n, found.days, found.money[0].n, found.money[0].days) == (4, 2, 4, 2)
    assert (found.win_rate.value, found.mean_profit.value) == (0.5, pytest.approx(0.0125))
    assert found.money[0].stake_abs == 200.0
    assert found.money[0].profit_factor == pytest.approx(6.0)


def test_summary_given_no_loss_then_has_no_profit_factor() -> None:
    assert summary(close_frame([a_close(1, stake=50.0, ratio=0.02)])).money[0].profit_factor is None


@pytest.mark.parametrize(("ratio", "ends"), [(0.02, (0.7, 1.0)), (-0.02, (0.0, 0.3))])
def test_summary_given_nearly_all_days_alike_then_the_win_rate_stays_within_0_and_1(ratio: float, ends: tuple[float, float]) -> None:
    ratios = [ratio] * 19 + [-ratio]

    found = summary(close_frame([a_close(n + 1, stake=50.0, ratio=each, day=n % 10) for n, each in enumerate(ratios)])).win_rate

    assert ends[0] <= found.low <= found.high <= ends[1]
    assert found.low == 0.0 or found.high == 1.0


@given(st.lists(st.tuples(st.sampled_from(PAIRS), st.floats(0.5, 2_000.0), st.floats(-0.5, 0.5)), max_size=40))
def test_sums_given_any_pairs_then_no_trade_is_lost_nor_in_two_currencies(rows: list[tuple[str, float, float]]) -> None:
    trades = [a_close(n + 1, pair=pair, stake=stake, ratio=ratio) for n, (pair, stake, ratio) in enumerate(rows)]
    frame = close_frame(trades)

    parts = by_currency(frame)

    assert sorted(number for part in parts.values() for number in part["trade_id"]) == sorted(frame["trade_id"])
    for currency, part in parts.items():
        own = [trade for trade in trades if trade.trade_id in set(part["trade_id"])]
        assert profit_sums(frame)[currency] == pytest.approx(sum(trade.close_profit_abs or 0.0 for trade in own), abs=1e-9)
        assert notional_sums(trades)[currency] == pytest.approx(sum(trade.stake_amount * trade.leverage for trade in own))
    assert len(parts) <= 4
