from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.planted_bank import FUNDING, PATH_TYPES, SLIPPAGE, TAKER, Bank, make_bank, outcomes_at, sum_paths
from benchmarks.planted_world import BIN_OF, CELLS, DIRECTION_OF, SIZES, World, draw_paths, make_world, realised, world_digest

SMALL_DIGEST = "9f5b7389f51201776af6be59517c43fbb682f3eb1990f2634179100a013ea848"
FROZEN_DIGEST = "46d90cf84dabb9a5e842e3b137ed18e92e6e4ab63961031604bef20a389f81d3"


@cache
def bank() -> Bank:
    return make_bank(paths=5_000)


@cache
def world(*, heterogeneity: float = 1.0, skilled: bool = True) -> World:
    return make_world(bank(), seed=1, heterogeneity=heterogeneity, skilled=skilled)


def test_world_given_a_small_bank_then_is_the_frozen_one() -> None:
    assert world_digest(bank()) == SMALL_DIGEST


@pytest.mark.slow
def test_world_given_the_whole_bank_then_is_the_frozen_one() -> None:
    assert world_digest(make_bank()) == FROZEN_DIGEST


def test_utility_given_a_cell_of_high_leverage_then_is_the_weighted_mean_of_its_bank() -> None:
    cell = int(np.flatnonzero(BIN_OF == 4)[3])
    paths = np.arange(len(bank()))
    settings = {"stop": np.full(len(paths), 31), "target": np.full(len(paths), 20)}

    nets = outcomes_at(bank(), paths=paths, bins=np.full(len(paths), 4), **settings)

    by_type = nets.reshape(len(PATH_TYPES), -1).mean(axis=1)
    assert world().utility[cell, 31, 20] == pytest.approx(float(world().weights[-1, cell] @ by_type), abs=1e-9)


def test_outcomes_given_noise_and_no_level_in_reach_then_cost_fees_slippage_and_funding() -> None:
    noise = bank().outcomes[: bank().per_type]
    calm = (bank().worst[: bank().per_type] > -4.0) & (bank().best[: bank().per_type] < 6.0)

    # Mirrored noise cancels exactly where neither path touched a level.
    assert noise[calm, -1, -1].mean() == pytest.approx(-2 * TAKER - 2 * SLIPPAGE - FUNDING, abs=2e-3)


def test_noise_given_any_setting_then_loses_about_its_costs() -> None:
    utility = world(skilled=False).utility

    assert utility.max() < 0.0
    assert utility.mean() == pytest.approx(-0.0012, abs=0.0006)


def test_cells_given_no_heterogeneity_then_differ_by_their_liquidation_alone() -> None:
    utility = world(heterogeneity=0.0).utility

    assert np.ptp(utility[BIN_OF == 2], axis=0).max() < 1e-12


def test_trades_given_a_world_then_fill_each_cell_to_its_size() -> None:
    assert np.bincount(world().trades.cell, minlength=CELLS).tolist() == world().sizes.tolist()
    assert sorted(set(world().sizes.tolist())) == list(SIZES)


def test_sums_given_the_trades_of_large_cells_then_scatter_about_the_truth() -> None:
    trades, large = world().trades, world().sizes == max(SIZES)

    totals, squares = sum_paths(bank(), paths=trades.path, bins=BIN_OF[trades.cell], groups=trades.cell, n_groups=CELLS)

    n = float(max(SIZES))
    z = (totals[large] / n - world().utility[large]) / np.sqrt(squares[large] / n / n)
    assert 0.6 < z.std() < 2.0  # above 1: trades of one day share their market


def test_paths_given_correlation_then_longs_of_a_day_move_together_and_shorts_against_them() -> None:
    rng, cell = np.random.default_rng(0), np.tile(np.array([0, 5]), 4_000)
    weights = np.tile(np.eye(len(PATH_TYPES))[0], (12, CELLS, 1))
    assert DIRECTION_OF[cell[:2]].tolist() == [0, 1]

    paths = draw_paths(bank(), rng, weights=weights, cell=cell, entry_days=np.repeat(np.arange(200) + 0.1, 40), correlation=0.5)

    place = (paths % bank().per_type / bank().per_type).reshape(200, 20, 2).mean(axis=1)
    assert np.corrcoef(place.T)[0, 1] < -0.8
    assert np.histogram(paths % bank().per_type, bins=4)[0] / len(paths) == pytest.approx(np.full(4, 0.25), abs=0.06)


def test_realised_given_old_settings_then_are_the_outcomes_under_them() -> None:
    trades = world().trades
    nets = realised(bank(), trades)
    first = int(trades.path[0])

    assert len(nets) == len(trades)
    assert nets[0] in {
        float(bank().outcomes[first, trades.old_stop[0], trades.old_target[0]]),
        float(bank().liquidated[first, BIN_OF[trades.cell[0]], trades.old_target[0]]),
    }


def test_world_given_drift_then_ends_elsewhere_than_it_began() -> None:
    drifting = make_world(bank(), seed=1, drift=1.0)

    assert np.abs(drifting.weights[-1] - drifting.weights[0]).max() > 0.1
    assert np.abs(world().weights[-1] - world().weights[0]).max() == pytest.approx(0.0)
