"""What a closed trade earned."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.costs import Costs, close_profit

rates = st.floats(0.001, 1e5)
fees = st.floats(0.0, 0.01)


COSTS = Costs(taker_fee=0.001, maker_fee=0.0002, slippage=0.01, stop_slippage=0.02)


@pytest.mark.parametrize(("is_short", "entry", "exited"), [(False, 101.0, 99.0), (True, 99.0, 101.0)])
def test_rates_given_slippage_then_are_worse_than_the_market(is_short: bool, entry: float, exited: float) -> None:
    assert COSTS.entry_rate(100.0, is_short=is_short) == pytest.approx(entry)
    assert COSTS.exit_rate(100.0, is_short=is_short) == pytest.approx(exited)


@pytest.mark.parametrize(("is_short", "expected"), [(False, 100.0 * 1.001 / (0.999 * 0.97)), (True, 100.0 * 0.999 / (1.001 * 1.03))])
def test_break_even_rate_given_fees_and_slippage_of_stops_then_its_fill_earns_nothing(is_short: bool, expected: float) -> None:
    rate = COSTS.break_even_rate(100.0, is_short=is_short)

    filled = rate * (1.03 if is_short else 0.97)
    assert rate == pytest.approx(expected)
    assert close_profit(
        open_rate=100.0, close_rate=filled, is_short=is_short, leverage=3.0, fee_open=0.001, fee_close=0.001
    ) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("is_short", "expected"),
    [
        (False, 3.0 * ((110.0 * 0.998 + 0.5) / (100.0 * 1.001) - 1.0)),
        (True, -3.0 * ((110.0 * 1.002 - 0.5) / (100.0 * 0.999) - 1.0)),
    ],
)
def test_close_profit_given_different_fees_and_funding_then_each_counts_on_its_side(is_short: bool, expected: float) -> None:
    earned = close_profit(
        open_rate=100.0, close_rate=110.0, is_short=is_short, leverage=3.0, fee_open=0.001, fee_close=0.002, funding_ratio=0.005
    )

    assert earned == pytest.approx(expected)


def test_close_profit_given_rates_below_one_then_is_computed() -> None:
    assert close_profit(open_rate=0.5, close_rate=0.6, is_short=False, leverage=1.0, fee_open=0.0, fee_close=0.0) == pytest.approx(0.2)


def test_close_profit_given_freqtrades_example_then_agrees() -> None:
    # 10x long from 100 to 100.6006 at 5 bps a side: freqtrade's own rate for a ROI of 0.05.
    earned = close_profit(open_rate=100.0, close_rate=100.6006, is_short=False, leverage=10.0, fee_open=0.0005, fee_close=0.0005)

    assert earned == pytest.approx(0.05, abs=1e-4)


def test_close_profit_given_a_stop_at_ten_times_then_fees_come_on_top() -> None:
    earned = close_profit(open_rate=100.0, close_rate=99.7, is_short=False, leverage=10.0, fee_open=0.0005, fee_close=0.0005)

    assert earned == pytest.approx(-0.04, abs=1e-4)


def test_close_profit_given_funding_received_then_counts_it_times_leverage() -> None:
    earned = partial(close_profit, open_rate=100.0, close_rate=100.0, is_short=True, leverage=4.0, fee_open=0.0, fee_close=0.0)

    assert earned(funding_ratio=0.001) == pytest.approx(0.004)


@given(open_rate=rates, close_rate=rates, is_short=st.booleans(), fee=fees)
def test_close_profit_is_never_raised_by_a_fee(open_rate: float, close_rate: float, is_short: bool, fee: float) -> None:
    earned = partial(close_profit, open_rate=open_rate, close_rate=close_rate, is_short=is_short, leverage=1.0)

    assert earned(fee_open=fee, fee_close=fee) <= earned(fee_open=0.0, fee_close=0.0)


@pytest.mark.parametrize("rates", [(100.0, 0.0), (0.0, 100.0), (100.0, float("nan"))])
def test_close_profit_given_a_rate_not_above_zero_then_refuses(rates: tuple[float, float]) -> None:
    opened, closed = rates
    with pytest.raises(InvalidTradeError, match="rates must be above 0"):
        close_profit(open_rate=opened, close_rate=closed, is_short=False, leverage=1.0, fee_open=0.0, fee_close=0.0)


@pytest.mark.parametrize("name", ["taker_fee", "maker_fee", "slippage", "stop_slippage"])
@pytest.mark.parametrize("value", [-1e-9, 0.1, 0.5, float("nan")])
def test_costs_given_a_negative_ratio_or_percent_then_refuse(name: str, value: float) -> None:
    with pytest.raises(InvalidTradeError, match=f"^{name} must be"):
        replace(COSTS, **{name: value})


@pytest.mark.parametrize("value", [0.0, 0.0999])
def test_costs_given_ratios_at_their_bounds_then_accept(value: float) -> None:
    assert Costs(taker_fee=value, maker_fee=value, slippage=value, stop_slippage=value).stop_slippage == value
