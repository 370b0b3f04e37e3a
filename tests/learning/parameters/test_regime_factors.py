"""Factors of the regimes on stop and target."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from bot3.learning.parameters.regime_factors import NO_FACTORS, regime_factors, regimes_at
from bot3.learning.pooling.empirical_bayes import pooling_strength
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.replay import GroupSums
from bot3.market.instants import instant_us
from bot3.market.regimes import Regime
from tests.markets import NOON

GRID = ExitGrid(stops=np.array([1.0, 2.0, 8.0]), targets=np.array([1.0, 4.0]))
CELL = (1, 0)
SURFACE = np.zeros(GRID.shape)
SURFACE[CELL] = 1e-6


def sums_of(*means: np.ndarray, n: tuple[int, ...] = (50, 50, 50, 50)) -> GroupSums:
    """Return sums of four regimes with a variance of 1e-4 in every setting."""
    counts = np.array(n)
    total = np.stack(means) * counts[:, None, None]
    sums = np.zeros((4, 5, *GRID.shape))
    sums[:, 0] = total
    sums[:, 1] = (1e-4 + np.stack(means) ** 2) * counts[:, None, None]
    return GroupSums(n=counts, weight=counts.astype(np.float64), sums=sums)


def best_at(cell: tuple[int, int], *, height: float) -> np.ndarray:
    surface = np.zeros(GRID.shape)
    surface[cell] = height
    return surface


def test_regimes_at_given_entries_then_are_those_known_by_then() -> None:
    known = pd.Series([pd.Timestamp(NOON), pd.Timestamp(NOON + timedelta(hours=1))], dtype="datetime64[us, UTC]")
    regimes = pd.DataFrame({"known_at": known, "regime": ["volatile", "bull_trending"]})
    noon = instant_us(NOON)

    found = regimes_at(np.array([noon - 1, noon, noon + 3_599_999_999, noon + 3_600_000_000]), regimes)

    assert found.tolist() == [-1, 3, 3, 0]


def test_regime_factors_given_regimes_that_differ_then_are_the_ratios_of_levels_to_the_power_of_their_weights() -> None:
    n_eff = np.array([50.0, 40.0, 20.0, 30.0])
    sums = sums_of(*(best_at(cell, height=0.05) for cell in ((0, 0), (1, 1), (1, 0), (2, 0))))

    found = regime_factors(sums, n_eff=n_eff, surface=SURFACE, cell=CELL, grid=GRID)

    strength = pooling_strength([(sums.group(place), float(n_eff[place]), "root") for place in range(4)])
    first, second, _, _ = n_eff / (n_eff + strength)
    assert 0.0 < first < 1.0
    assert found[Regime.BULL_TRENDING] == (pytest.approx(0.5**first), 1.0)
    assert found[Regime.BEAR_TRENDING] == (1.0, 2.0)  # four times the target, limited to twice
    assert found[Regime.SIDEWAYS] == (1.0, 1.0)
    assert found[Regime.VOLATILE] == (2.0, 1.0)
    assert 4.0**second > 2.0


def test_regime_factors_given_regimes_alike_then_are_one() -> None:
    sums = sums_of(*[best_at((0, 1), height=0.05)] * 4)

    assert regime_factors(sums, n_eff=np.full(4, 50.0), surface=SURFACE, cell=CELL, grid=GRID) == NO_FACTORS


def test_regime_factors_given_a_regime_without_trades_then_is_one() -> None:
    empty = np.zeros(GRID.shape)
    sums = sums_of(*(best_at(cell, height=0.05) for cell in ((0, 0), (1, 1), (2, 0))), empty, n=(50, 50, 50, 0))

    found = regime_factors(sums, n_eff=np.array([50.0, 50.0, 50.0, 0.0]), surface=SURFACE, cell=CELL, grid=GRID)

    assert found[Regime.VOLATILE] == (1.0, 1.0)
    assert found[Regime.BULL_TRENDING] != (1.0, 1.0)
