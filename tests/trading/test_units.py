"""The converter: round trips, and a stop inside liquidation."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading import units

leverages = st.floats(1.0, 10.0)
moves = st.floats(-0.09, 0.5)
fees = st.floats(0.0, 0.002)
rates = st.floats(1e-4, 1e6)
margins = st.floats(0.0, 0.05)


@given(move=moves, leverage=leverages)
def test_stake_and_move_given_any_then_round_trip(move: float, leverage: float) -> None:
    assert units.move_of_stake(units.stake_of_move(move, leverage=leverage), leverage=leverage) == pytest.approx(move)


@given(move=moves, open_rate=rates, is_short=st.booleans())
def test_rate_and_move_given_any_then_round_trip(move: float, open_rate: float, is_short: bool) -> None:
    rate = units.rate_of_move(move, open_rate=open_rate, is_short=is_short)

    assert units.move_of_rate(rate, open_rate=open_rate, is_short=is_short) == pytest.approx(move, abs=1e-12)


@given(profit=st.floats(-0.9, 0.9), leverage=leverages, is_short=st.booleans(), fee_open=fees, fee_close=fees)
def test_profit_and_move_given_fees_then_round_trip(
    profit: float, leverage: float, is_short: bool, fee_open: float, fee_close: float
) -> None:
    move = units.move_of_profit(profit, leverage=leverage, is_short=is_short, fee_open=fee_open, fee_close=fee_close)

    back = units.profit_of_move(move, leverage=leverage, is_short=is_short, fee_open=fee_open, fee_close=fee_close)
    assert back == pytest.approx(profit, abs=1e-10)


@given(leverage=leverages, margin=margins, is_short=st.booleans(), open_rate=rates)
def test_liquidation_rate_given_isolated_margin_then_what_is_left_is_the_maintenance_margin(
    leverage: float, margin: float, is_short: bool, open_rate: float
) -> None:
    rate = units.liquidation_rate(open_rate=open_rate, leverage=leverage, maintenance_margin_ratio=margin, is_short=is_short)
    assume(rate is not None)

    assert rate is not None
    left = open_rate / leverage + units.side(is_short=is_short) * (rate - open_rate)
    assert left == pytest.approx(margin * rate, rel=1e-6, abs=1e-9 * open_rate)


def test_liquidation_rate_given_a_long_without_leverage_then_there_is_none() -> None:
    assert units.liquidation_rate(open_rate=100.0, leverage=1.0, maintenance_margin_ratio=0.01, is_short=False) is None


@given(stop=st.floats(-0.99, -1e-4), leverage=leverages, margin=margins, is_short=st.booleans())
def test_stop_inside_liquidation_given_any_stop_then_liquidation_is_twice_as_far(
    stop: float, leverage: float, margin: float, is_short: bool
) -> None:
    kept = units.stop_inside_liquidation(stop, leverage=leverage, maintenance_margin_ratio=margin, is_short=is_short)

    liquidation = units.liquidation_move(leverage=leverage, maintenance_margin_ratio=margin, is_short=is_short)
    assert stop <= kept < 0.0
    assert kept >= liquidation / 2.0


def test_bankruptcy_rate_given_five_times_then_a_fifth_away() -> None:
    assert units.bankruptcy_rate(open_rate=100.0, leverage=5.0, is_short=True) == pytest.approx(120.0)


def test_units_given_a_leverage_below_one_then_refuse() -> None:
    with pytest.raises(InvalidTradeError, match="leverage must be at least 1"):
        units.move_of_stake(-0.03, leverage=0.5)


def test_units_given_a_stop_above_zero_then_refuse() -> None:
    with pytest.raises(InvalidTradeError, match="must be below 0"):
        units.stop_inside_liquidation(0.03, leverage=2.0, maintenance_margin_ratio=0.01, is_short=False)
