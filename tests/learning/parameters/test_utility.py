"""The utility of levels, and the spread of outcomes that it is computed from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.parameters.spread import SPREAD_STRENGTH, CellMoments, Spread
from bot3.learning.parameters.utility import sized, worst_moves
from bot3.learning.replay.paths import ReplayCosts
from bot3.trading.profiles import SizeLimits

LIMITS = SizeLimits(risk_ratio=0.012, stake_ratio=0.10, notional_ratio=1.0)


def moments(*outcomes: list[float], sigma: tuple[float, ...]) -> CellMoments:
    """Return the moments of cells on a grid of one stop and one target."""
    n, totals, squares = (np.array([sum(value**power for value in own) for own in outcomes], dtype=np.float64) for power in (0, 1, 2))
    return CellMoments(n=n, totals=totals[:, None, None], squares=squares[:, None, None], sigma=np.array(sigma))


def test_spread_given_cells_then_pools_their_variance_in_units_of_the_volatility() -> None:
    cells = moments([0.01, -0.01, 0.01, -0.01], [0.04, -0.04], [], sigma=(0.01, 0.02, math.nan))

    spread = Spread.of(cells, sigma=0.03)

    units = (4 * 1.0 + 2 * 4.0 + SPREAD_STRENGTH) / (6 + SPREAD_STRENGTH)
    assert (spread.units.item(), spread.sigma) == pytest.approx((units, (4 * 0.01 + 2 * 0.02) / 6))
    own = 2 / (2 + SPREAD_STRENGTH)
    found = spread.variances(cells).ravel()
    assert found[1] == pytest.approx((own * 4.0 + (1.0 - own) * units) * 0.02**2)
    assert found[2] == pytest.approx(units * spread.sigma**2)


def test_spread_given_no_trade_then_a_move_has_the_assumed_volatility() -> None:
    spread = Spread.of(moments([], sigma=(math.nan,)), sigma=0.03)

    assert (spread.units.item(), spread.sigma) == (1.0, 0.03)


def test_sized_given_a_gain_then_has_the_size_of_the_risk_target_and_grows_by_it() -> None:
    found = sized(mean=0.002, deviation=0.02, worst=-0.03, leverage=10.0, limits=LIMITS)

    assert float(found.ratio) == pytest.approx(0.6)
    assert float(found.utility) == pytest.approx(0.6 * 0.002 - 0.5 * 0.36 * (0.02**2 + 0.002**2))


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [({"worst": -0.08}, 0.3), ({"mean": 0.0001}, 0.125), ({"leverage": 2.0}, 0.2), ({"deviation": 0.001, "worst": -0.002}, 1.0)],
    ids=["half the worst loss", "half Kelly", "stake", "pair"],
)
def test_sized_given_a_nearer_limit_then_is_that(changes: dict[str, float], ratio: float) -> None:
    found = sized(**{"mean": 0.002, "deviation": 0.02, "worst": -0.03, "leverage": 10.0, **changes}, limits=LIMITS)

    assert float(found.ratio) == pytest.approx(ratio, rel=1e-3)


@given(
    outcomes=st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=20),
    ratio=st.floats(0.01, 1.0),
)
def test_utility_is_the_mean_growth_of_the_logarithm_within_its_third_order(outcomes: list[float], ratio: float) -> None:
    net = np.array(outcomes)
    limits = SizeLimits(risk_ratio=math.inf, stake_ratio=math.inf, notional_ratio=ratio)

    found = sized(mean=net.mean(), deviation=net.std(), worst=-0.05, leverage=1.0, limits=limits)

    exact = float(np.log1p(float(found.ratio) * net).mean())
    assert abs(float(found.utility) - exact) <= float(found.ratio) ** 3 * float((np.abs(net) ** 3).mean()) / 3.0 / 0.95**3 + 1e-15


@given(gain=st.floats(1e-6, 0.01), loss=st.floats(-0.01, -1e-6), deviation=st.floats(0.001, 0.1))
def test_utility_of_a_gain_exceeds_that_of_a_loss(gain: float, loss: float, deviation: float) -> None:
    won, lost = (sized(mean=mean, deviation=deviation, worst=-0.01, leverage=3.0, limits=LIMITS).utility for mean in (gain, loss))

    assert float(won) > 0.0 > float(lost)


def test_worst_moves_given_stops_then_add_the_costs_of_a_stopped_trade() -> None:
    found = worst_moves(np.array([1.0, 2.0]), sigma=0.02, costs=ReplayCosts(taker_fee=0.0005, slippage=0.0001, stop_slippage=0.0003))

    assert found.tolist() == pytest.approx([-0.0214, -0.0414])
