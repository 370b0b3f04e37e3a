"""The benchmark's rivals follow the same rule as the kernel, on a small world."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.replay_rivals import numpy_sums, pandas_cell, windows
from benchmarks.replay_world import GROUPS, ReplayWorld, replay_world
from bot3.learning.grids import default_grid
from bot3.learning.replay import ReplayCosts, TradePaths, outcomes, sum_groups

GRID = default_grid()
FEE = 0.0005
COSTS = ReplayCosts(taker_fee=FEE, slippage=0.0, stop_slippage=0.0, maintenance_margin_ratio=0.0)


def small_world(n: int) -> ReplayWorld:
    """A world as rivals know it: leverage 1, no funding."""
    world = replay_world(n, candles=6_000)
    columns = {name: getattr(world.paths, name) for name in ("entry", "end", "open_rate", "is_short", "sigma")}
    candles = type(world.candles)(prices=world.candles.prices, funding=np.zeros(len(world.candles)))
    return ReplayWorld(candles=candles, plain=world.plain, paths=TradePaths(**columns, leverage=np.ones(n)), group=world.group)


def test_numpy_rival_given_the_same_trades_then_sums_the_same() -> None:
    world = small_world(300)

    ours = sum_groups(world.candles, world.paths, group=world.group, groups=GROUPS, grid=GRID, costs=COSTS).sums

    np.testing.assert_allclose(numpy_sums(world, grid=GRID, fee=FEE), ours.transpose(1, 0, 2, 3)[:4], rtol=1e-5, atol=1e-6)


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
