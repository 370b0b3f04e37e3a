"""Leverage and size."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import LEVERAGE_BINS, leverage_bin
from bot3.trading.sizing import choose_leverage, free_notional, half_kelly_notional, smallest_amount, volatility_notional
from tests.markets import a_market, a_profile


def test_choose_leverage_given_the_sigmas_of_real_pairs_and_a_cap_of_ten_then_reaches_every_bin() -> None:
    sigmas = np.linspace(0.01, 0.12, 200)

    bins = {leverage_bin(choose_leverage(sigma=float(sigma), target_volatility=0.12, low=1.0, high=10.0)) for sigma in sigmas}

    assert bins == set(LEVERAGE_BINS)


@given(sigma=st.floats(1e-4, 2.0), low=st.floats(1.0, 5.0), span=st.floats(0.0, 5.0))
def test_choose_leverage_given_a_range_then_stays_inside(sigma: float, low: float, span: float) -> None:
    leverage = choose_leverage(sigma=sigma, target_volatility=0.12, low=low, high=low + span)

    assert low <= leverage <= low + span
    assert leverage == low or leverage * sigma <= 0.12 + 1e-12


def test_choose_leverage_given_no_volatility_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="sigma"):
        choose_leverage(sigma=float("nan"), target_volatility=0.12, low=1.0, high=10.0)


def test_volatility_notional_given_twice_the_sigma_then_is_half() -> None:
    quiet, wild = (volatility_notional(equity_abs=10_000.0, sigma=sigma, profile=a_profile()) for sigma in (0.03, 0.06))

    assert quiet == pytest.approx(4_000.0)
    assert wild == pytest.approx(2_000.0)


@given(bound=st.floats(-0.1, 0.0) | st.floats(1e-9, 0.2), stop=st.floats(-0.2, -1e-3), target=st.floats(1e-3, 0.2))
def test_half_kelly_notional_given_any_then_is_zero_exactly_without_an_edge(bound: float, stop: float, target: float) -> None:
    notional = half_kelly_notional(equity_abs=10_000.0, lower_bound=bound, stop_move=stop, take_profit_move=target)

    assert notional >= 0.0
    assert (notional > 0.0) is (bound > 0.0)


@given(
    equity=st.floats(100.0, 1e6),
    used=st.floats(0.0, 1.0),
    pair=st.floats(0.0, 2.0),
    gross=st.floats(0.0, 4.0),
    leverage=st.floats(1.0, 10.0),
)
def test_free_notional_given_any_book_then_no_cap_is_passed(equity: float, used: float, pair: float, gross: float, leverage: float) -> None:
    notional = free_notional(
        equity_abs=equity,
        free_abs=equity * (1.0 - used),
        pair_notional_abs=pair * equity,
        gross_notional_abs=gross * equity,
        leverage=leverage,
        fee=0.0005,
        profile=a_profile(),
    )

    assert notional >= 0.0
    assert notional / leverage <= 0.1 * equity * (1.0 + 1e-12)
    assert notional / leverage + notional * 0.0005 <= equity * (1.0 - used) + 1e-6
    assert notional == 0.0 or notional + pair * equity <= equity * (1.0 + 1e-12)
    assert notional == 0.0 or notional + gross * equity <= 3.0 * equity * (1.0 + 1e-12)


@given(rate=st.floats(1e-3, 1e5), minimum=st.integers(1, 100))
def test_smallest_amount_given_a_rate_then_meets_the_minimum_on_the_step(rate: float, minimum: int) -> None:
    market = a_market(min_notional_abs=Decimal(minimum), amount_step=Decimal("0.001"), min_amount=Decimal("0.001"))

    amount = smallest_amount(market, rate=rate)

    assert float(amount) * rate >= minimum
    assert amount % market.amount_step == 0
    assert amount >= market.min_amount
