"""Leverage and size."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.profiles import SizeLimits
from bot3.trading.sizing import (
    OutcomeRisk,
    choose_leverage,
    free_notional,
    half_kelly_ratio,
    outcome_notional,
    risk_ratio,
    smallest_amount,
    volatility_notional,
)
from tests.markets import a_market, a_profile

LIMITS = SizeLimits(risk_ratio=0.012, stake_ratio=0.10, notional_ratio=1.0)


def test_choose_leverage_given_the_sigmas_of_real_pairs_and_a_cap_of_ten_then_reaches_every_bin() -> None:
    sigmas, spans = np.linspace(0.01, 0.12, 200), DEFAULT_BINS.spans(DEFAULT_BINS.names, highest=10.0)

    bins = {DEFAULT_BINS.name_of(choose_leverage(sigma=float(sigma), target_volatility=0.12, spans=spans)) for sigma in sigmas}

    assert bins == set(DEFAULT_BINS.names)


@given(sigma=st.floats(1e-9, 5.0), bins=st.sets(st.sampled_from(DEFAULT_BINS.names), min_size=1), highest=st.floats(1.0, 130.0))
@example(sigma=0.04, bins={"1.0-2.0"}, highest=10.0)
@example(sigma=0.12 / 2.4567, bins=set(DEFAULT_BINS.names), highest=10.0)
@example(sigma=0.12 / 2.4533, bins=set(DEFAULT_BINS.names), highest=10.0)
@example(sigma=0.04, bins={"1.0-2.0", "3.5-5.0"}, highest=10.0)
@example(sigma=0.012, bins=set(DEFAULT_BINS.names), highest=5.0)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_choose_leverage_given_any_then_no_allowed_hundredth_is_nearer_to_the_target(sigma: float, bins: set[str], highest: float) -> None:
    spans = DEFAULT_BINS.spans(bins, highest=highest)
    assume(spans)

    leverage = choose_leverage(sigma=sigma, target_volatility=0.12, spans=spans)

    allowed = [count / 100 for count in range(100, 1_001) if count / 100 <= highest and DEFAULT_BINS.name_of(count / 100) in bins]
    assert leverage in allowed
    assert abs(leverage - 0.12 / sigma) <= min(abs(other - 0.12 / sigma) for other in allowed)


@pytest.mark.parametrize(
    ("sigma", "bins", "highest", "expected"),
    [
        (0.01, {"1.0-2.0"}, 10.0, 1.99),
        (0.01, {"2.0-3.5", "3.5-5.0"}, 10.0, 4.99),
        (0.01, {"7.5-10.0"}, 10.0, 10.0),
        (0.01, set(DEFAULT_BINS.names), 5.0, 5.0),
        (0.01, set(DEFAULT_BINS.names), 4.999, 4.99),
        (0.04, {"1.0-2.0", "3.5-5.0"}, 10.0, 3.5),
        (0.05, {"1.0-2.0", "3.5-5.0"}, 10.0, 1.99),
        (0.12, {"2.0-3.5"}, 10.0, 2.0),
    ],
)
def test_choose_leverage_given_edges_holes_and_caps_then_stays_in_an_open_bin(
    sigma: float, bins: set[str], highest: float, expected: float
) -> None:
    assert choose_leverage(sigma=sigma, target_volatility=0.12, spans=DEFAULT_BINS.spans(bins, highest=highest)) == expected


@pytest.mark.parametrize(
    ("sigma", "spans", "text"), [(float("nan"), [(1.0, 2.0)], "sigma"), (0.0, [(1.0, 2.0)], "sigma"), (0.1, [], "span")]
)
def test_choose_leverage_given_no_volatility_or_no_span_then_refuses(sigma: float, spans: list[tuple[float, float]], text: str) -> None:
    with pytest.raises(InvalidTradeError, match=text):
        choose_leverage(sigma=sigma, target_volatility=0.12, spans=spans)


def test_volatility_notional_given_twice_the_sigma_then_is_half() -> None:
    quiet, wild = (volatility_notional(equity_abs=10_000.0, sigma=sigma, profile=a_profile()) for sigma in (0.03, 0.06))

    assert quiet == pytest.approx(4_000.0)
    assert wild == pytest.approx(2_000.0)


def test_half_kelly_ratio_given_an_expectancy_of_1_percent_then_is_half_of_it_over_its_mean_square() -> None:
    assert float(half_kelly_ratio(expectancy=0.01, deviation=0.02)) == pytest.approx(0.5 * 0.01 / (0.02**2 + 0.01**2))


@pytest.mark.parametrize("bound", [0.0, -0.01, math.nan])
def test_half_kelly_ratio_given_no_edge_then_is_zero(bound: float) -> None:
    assert float(half_kelly_ratio(expectancy=bound, deviation=0.02)) == 0.0


@pytest.mark.parametrize(("worst", "expected"), [(-0.03, 0.012 / 0.02), (-0.06, 0.012 / 0.03)])
def test_risk_ratio_given_a_worst_loss_then_counts_half_of_it_if_that_exceeds_the_deviation(worst: float, expected: float) -> None:
    assert float(risk_ratio(deviation=0.02, worst=worst, limits=LIMITS)) == pytest.approx(expected)


def test_outcome_notional_given_a_small_lower_bound_then_is_half_kelly_and_else_the_risk_target() -> None:
    small, large = (OutcomeRisk(deviation_move=0.02, worst_move=-0.03, lower_bound=bound) for bound in (0.0001, 0.01))

    assert outcome_notional(small, equity_abs=1_000.0, multiplier=0.5, limits=LIMITS) == pytest.approx(125.0, rel=1e-3)
    assert outcome_notional(large, equity_abs=1_000.0, multiplier=0.5, limits=LIMITS) == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("free", "pair", "gross", "expected"),
    [
        (10_000.0, 0.0, 0.0, 4_000.0),  # the largest stake of an order, 1,000, at leverage 4
        (501.0, 0.0, 0.0, 2_000.0),  # the free margin: 500 and the fee of 1
        (10_000.0, 5_000.0, 5_000.0, 3_000.0),  # 8,000 of a pair
        (10_000.0, 0.0, 29_000.0, 1_000.0),  # 30,000 of all pairs
        (10_000.0, 12_000.0, 12_000.0, 0.0),  # above a cap
    ],
)
def test_free_notional_given_a_book_then_is_what_the_nearest_cap_leaves(free: float, pair: float, gross: float, expected: float) -> None:
    notional = free_notional(
        equity_abs=10_000.0,
        free_abs=free,
        pair_notional_abs=pair,
        gross_notional_abs=gross,
        leverage=4.0,
        fee=0.0005,
        profile=a_profile(max_pair_notional_ratio=0.8),
    )

    assert notional == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"min_notional_abs": Decimal(5)}, "0.51"),  # 5 with headroom is 5.025, at a rate of 10 at least 0.5025
        ({"min_notional_abs": Decimal(0), "min_amount": Decimal("0.025")}, "0.03"),
        ({"min_notional_abs": Decimal(0), "min_amount": Decimal(0)}, "0.01"),
    ],
)
def test_smallest_amount_given_minima_then_is_the_next_step(changes: dict[str, Decimal], expected: str) -> None:
    market = a_market(**{"amount_step": Decimal("0.01"), "min_amount": Decimal("0.01"), **changes})

    assert smallest_amount(market, rate=10.0) == Decimal(expected)


@given(bound=st.floats(-0.1, 0.0) | st.floats(1e-9, 0.2), deviation=st.floats(1e-3, 0.2), worst=st.floats(-0.5, -1e-3))
def test_outcome_notional_given_any_then_is_zero_exactly_without_an_edge_and_has_the_target_risk_at_most(
    bound: float, deviation: float, worst: float
) -> None:
    outcome = OutcomeRisk(deviation_move=deviation, worst_move=worst, lower_bound=bound)

    notional = outcome_notional(outcome, equity_abs=1.0, multiplier=1.0, limits=LIMITS)

    assert (notional > 0.0) is (bound > 0.0)
    assert notional * deviation <= LIMITS.risk_ratio * (1.0 + 1e-12)
    assert notional * -worst <= 2.0 * LIMITS.risk_ratio * (1.0 + 1e-12)


@given(
    equity=st.floats(100.0, 1e6),
    used=st.floats(0.0, 1.0),
    notionals=st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 4.0)),
    leverage=st.floats(1.0, 10.0),
    pair_cap=st.floats(0.1, 3.0),
)
def test_free_notional_given_any_book_then_no_cap_is_passed(
    equity: float, used: float, notionals: tuple[float, float], leverage: float, pair_cap: float
) -> None:
    pair, gross = notionals
    notional = free_notional(
        equity_abs=equity,
        free_abs=equity * (1.0 - used),
        pair_notional_abs=pair * equity,
        gross_notional_abs=gross * equity,
        leverage=leverage,
        fee=0.0005,
        profile=a_profile(max_pair_notional_ratio=pair_cap),
    )

    assert notional >= 0.0
    assert notional / leverage <= 0.1 * equity * (1.0 + 1e-12)
    assert notional / leverage + notional * 0.0005 <= equity * (1.0 - used) + 1e-6
    assert notional == 0.0 or notional + pair * equity <= pair_cap * equity * (1.0 + 1e-12)
    assert notional == 0.0 or notional + gross * equity <= 3.0 * equity * (1.0 + 1e-12)


@given(rate=st.floats(1e-3, 1e5), minimum=st.integers(1, 100))
def test_smallest_amount_given_a_rate_then_meets_the_minimum_on_the_step(rate: float, minimum: int) -> None:
    market = a_market(min_notional_abs=Decimal(minimum), amount_step=Decimal("0.001"), min_amount=Decimal("0.001"))

    amount = smallest_amount(market, rate=rate)

    assert float(amount) * rate >= minimum
    assert amount % market.amount_step == 0
    assert amount >= market.min_amount
