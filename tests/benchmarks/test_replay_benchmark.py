"""The benchmark's rivals follow the same rule as the kernel, on a small world."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from benchmarks.replay_numpy import numpy_sums
from benchmarks.replay_rivals import pandas_cell, windows
from benchmarks.replay_world import GROUPS, ReplayWorld, replay_world
from bot3.learning.replay.grids import default_grid
from bot3.learning.replay.kernel import AMBIGUOUS, TOTAL
from bot3.learning.replay.replay import ReplayCosts, TradePaths, outcomes, sum_groups

GRID = default_grid()
FEE = 0.0005
COSTS = ReplayCosts(taker_fee=FEE, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=0.0)


def small_world(n: int) -> ReplayWorld:
    """A world as rivals know it: leverage 1, no funding."""
    world = replay_world(n, candles=6_000)
    columns = {name: getattr(world.paths, name) for name in ("entry", "end", "open_rate", "is_short", "sigma")}
    candles = type(world.candles)(prices=world.candles.prices, funding=np.zeros(len(world.candles)))
    return ReplayWorld(candles=candles, plain=world.plain, paths=TradePaths(**columns, leverage=np.ones(n)), group=world.group)


def wild_world(n: int) -> ReplayWorld:
    """A world where all costs matter: tenfold funding, leverage 1 to 10, distances that liquidate or lie inside one candle."""
    world = replay_world(n, candles=6_000)
    candles = replace(world.candles, funding=10.0 * world.candles.funding)
    sigma = world.paths.sigma * np.where(np.arange(n) % 2 == 0, 3.0, 0.2)
    return replace(world, candles=candles, paths=replace(world.paths, sigma=sigma))


@pytest.mark.parametrize("by_corners", [False, True], ids=["cells", "corners"])
@pytest.mark.parametrize("target_rests", [False, True], ids=["at_market", "resting"])
def test_numpy_rival_given_all_costs_then_sums_the_same(*, by_corners: bool, target_rests: bool) -> None:
    world, costs = wild_world(2_000), ReplayCosts(target_rests=target_rests, maintenance_margin_ratio=0.05)

    ours = sum_groups(world.candles, world.paths, group=world.group, groups=GROUPS, grid=GRID, costs=costs)
    theirs = numpy_sums(world, grid=GRID, costs=costs, by_corners=by_corners)

    np.testing.assert_array_equal(theirs.n, ours.n)
    np.testing.assert_allclose(theirs.sums, ours.sums, rtol=1e-9, atol=1e-12)


def test_wild_world_given_one_cost_alone_then_sums_change() -> None:
    """A rival that forgot a cost would be found out above: each of them matters there."""
    world = wild_world(2_000)
    free = ReplayCosts(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=0.0, target_rests=True)
    sums = partial(sum_groups, group=world.group, groups=GROUPS, grid=GRID)
    unfunded = replace(world.candles, funding=np.zeros(len(world.candles)))
    unlevered = replace(world.paths, leverage=np.ones(len(world.paths)))

    base = sums(world.candles, world.paths, costs=free).sums
    charged = {name: replace(free, **{name: 1e-3}) for name in ("taker_fee", "maker_fee", "slippage", "stop_slippage")}
    others = {name: sums(world.candles, world.paths, costs=costs).sums for name, costs in charged.items()}
    others["maintenance"] = sums(world.candles, world.paths, costs=replace(free, maintenance_margin_ratio=0.05)).sums
    others["funding"] = sums(unfunded, world.paths, costs=free).sums
    others["leverage"] = sums(world.candles, unlevered, costs=free).sums

    assert [name for name, other in others.items() if np.abs(other[:, TOTAL] - base[:, TOTAL]).max() < 1e-3] == []
    assert base[:, AMBIGUOUS].max() >= 1.0


def test_pandas_rival_given_the_same_trade_then_ends_the_same() -> None:
    world = small_world(12)
    ours = outcomes(world.candles, world.paths, stop_sigma=np.full(12, 0.7), target_sigma=np.full(12, 1.1), costs=COSTS).net
    columns = windows(world)

    for k in range(12):
        found = pandas_cell(
            pd.DataFrame({name: column[k] for name, column in columns.items()}),
            rate=float(world.paths.open_rate[k]),
            is_short=bool(world.paths.is_short[k]),
            stop_move=0.7 * float(world.paths.sigma[k]),
            target_move=1.1 * float(world.paths.sigma[k]),
            fee=FEE,
        )
        assert abs(found - ours[k]) < 1e-6
