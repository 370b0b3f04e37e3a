"""What a closed trade earned."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.costs import Costs, close_profit

rates = st.floats(0.001, 1e5)
fees = st.floats(0.0, 0.01)


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


def test_close_profit_given_a_rate_of_zero_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="rates must be above 0"):
        close_profit(open_rate=100.0, close_rate=0.0, is_short=False, leverage=1.0, fee_open=0.0, fee_close=0.0)


def test_costs_given_a_fee_in_percent_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="taker_fee"):
        Costs(taker_fee=0.5, maker_fee=0.0002, slippage=0.0001, stop_slippage=0.0003)
