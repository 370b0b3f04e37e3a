"""The converter: round trips, and a stop inside liquidation."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading import units


def test_moves_given_a_stop_of_3_percent_at_10_times_then_is_3_thousandths_of_the_price() -> None:
    assert units.move_of_stake(-0.03, leverage=10.0) == pytest.approx(-0.003)
    assert units.stake_of_move(-0.003, leverage=10.0) == pytest.approx(-0.03)
    assert units.move_of_stake(-0.03, leverage=1.0) == -0.03


def test_moves_given_2_sigmas_of_1_percent_then_is_2_percent() -> None:
    assert units.move_of_sigma(2.0, sigma=0.01) == pytest.approx(0.02)


@pytest.mark.parametrize(("is_short", "rate"), [(False, 102.0), (True, 98.0)])
def test_rate_of_move_given_a_gain_of_2_percent_then_is_above_for_a_long_and_below_for_a_short(is_short: bool, rate: float) -> None:
    assert units.rate_of_move(0.02, open_rate=100.0, is_short=is_short) == pytest.approx(rate)
    assert units.move_of_rate(rate, open_rate=100.0, is_short=is_short) == pytest.approx(0.02)


@pytest.mark.parametrize(("is_short", "ratio"), [(False, 1.001 * 1.05 / 0.998), (True, 0.999 * 0.95 / 1.002)])
def test_move_of_profit_given_fees_of_both_sides_then_adds_them_to_the_target(is_short: bool, ratio: float) -> None:
    move = units.move_of_profit(0.1, leverage=2.0, is_short=is_short, fee_open=0.001, fee_close=0.002)

    assert move == pytest.approx((ratio - 1.0) * units.side(is_short=is_short))


@pytest.mark.parametrize(
    ("stop_rate", "planned", "expected"),
    [
        (97.0, (97.0, -0.0931), -0.0931),  # not moved: the planned ratio, which rounding to a tick made another
        (97.0, (97.0, None), None),
        (101.0, (97.0, -0.0931), 0.03),
        (98.0, (None, None), -0.06),
    ],
)
def test_stop_ratio_given_a_stop_then_is_the_planned_ratio_unless_it_moved(
    stop_rate: float, planned: tuple[float | None, float | None], expected: float | None
) -> None:
    ratio = units.stop_ratio(stop_rate, planned=planned, open_rate=100.0, is_short=False, leverage=3.0)

    assert ratio == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("profit", [1.0, 1.5])
def test_move_of_profit_given_a_short_that_would_need_a_rate_of_zero_then_is_refused(profit: float) -> None:
    with pytest.raises(InvalidTradeError, match="no rate earns"):
        units.move_of_profit(profit, leverage=1.0, is_short=True, fee_open=0.0, fee_close=0.0)


@pytest.mark.parametrize(("is_short", "move"), [(False, -0.19 / 0.99), (True, -0.19 / 1.01)])
def test_liquidation_move_given_5_times_and_1_percent_then_leaves_1_percent_of_the_value_there(is_short: bool, move: float) -> None:
    found = units.liquidation_move(leverage=5.0, maintenance_margin_ratio=0.01, is_short=is_short)
    limited = units.stop_inside_liquidation(-0.5, leverage=5.0, maintenance_margin_ratio=0.01, is_short=is_short)

    assert found == pytest.approx(move)
    assert limited == pytest.approx(move / 2.0)


@pytest.mark.parametrize(("leverage", "margin"), [(5.0, 0.2), (5.0, 0.3), (5.0, -0.01), (1.0, 1.0)])
def test_liquidation_move_given_no_margin_above_the_maintenance_margin_then_is_refused(leverage: float, margin: float) -> None:
    with pytest.raises(InvalidTradeError, match="leaves no room"):
        units.liquidation_move(leverage=leverage, maintenance_margin_ratio=margin, is_short=False)


def test_liquidation_rate_given_a_small_rate_or_no_maintenance_margin_then_there_is_one() -> None:
    cheap = units.liquidation_rate(open_rate=0.01, leverage=5.0, maintenance_margin_ratio=0.01, is_short=False)
    without = units.liquidation_rate(open_rate=100.0, leverage=5.0, maintenance_margin_ratio=0.0, is_short=False)

    assert cheap == pytest.approx(0.01 * (1.0 - 0.19 / 0.99))
    assert without == pytest.approx(80.0)


@pytest.mark.parametrize(("leverage", "is_short", "rate"), [(5.0, True, 120.0), (5.0, False, 80.0), (1.0, False, 0.0)])
def test_bankruptcy_rate_given_a_leverage_then_the_margin_is_gone_there(leverage: float, is_short: bool, rate: float) -> None:
    assert units.bankruptcy_rate(open_rate=100.0, leverage=leverage, is_short=is_short) == pytest.approx(rate)


@pytest.mark.parametrize("stop", [0.0, 0.03, float("nan")])
def test_stop_inside_liquidation_given_a_stop_not_below_zero_then_is_refused(stop: float) -> None:
    with pytest.raises(InvalidTradeError, match="must be below 0"):
        units.stop_inside_liquidation(stop, leverage=2.0, maintenance_margin_ratio=0.01, is_short=False)


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


def test_units_given_a_leverage_below_one_then_refuse() -> None:
    with pytest.raises(InvalidTradeError, match="leverage must be at least 1"):
        units.move_of_stake(-0.03, leverage=0.5)
