"""Grids of stops and targets, and sums over them."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.errors import InvalidTradeError
from bot3.learning.replay.grids import ExitGrid, GridSums, default_grid

LEVELS = np.array([0.5, 1.0, 2.0])


def sums_of(*outcomes: float) -> GridSums:
    values = np.array(outcomes)
    return GridSums(
        n=len(values),
        total=np.array([[values.sum()]]),
        squares=np.array([[(values**2).sum()]]),
        wins=np.array([[float((values > 0.0).sum())]]),
        gross_profit=np.array([[np.maximum(values, 0.0).sum()]]),
        gross_loss=np.array([[np.minimum(values, 0.0).sum()]]),
        ambiguous=np.array([[1.0]]),
    )


@pytest.mark.parametrize("levels", [[], [0.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
def test_grid_given_levels_that_do_not_ascend_from_above_zero_then_is_refused(levels: list[float]) -> None:
    for own in ({"stops": np.array(levels), "targets": LEVELS}, {"stops": LEVELS, "targets": np.array(levels)}):
        with pytest.raises(InvalidTradeError, match="ascending"):
            ExitGrid(**own)


def test_grid_given_one_level_each_then_is_accepted() -> None:
    assert ExitGrid(stops=np.array([1e-6]), targets=LEVELS).shape == (1, 3)


@pytest.mark.parametrize(("stop", "target", "cell"), [(0.69, 0.72, (0, 1)), (1.39, 1.45, (1, 2)), (9.0, 0.01, (2, 0)), (1.0, 2.0, (1, 2))])
def test_nearest_given_distances_then_is_the_nearest_level_by_ratio(stop: float, target: float, cell: tuple[int, int]) -> None:
    assert ExitGrid(stops=LEVELS, targets=LEVELS).nearest(stop=stop, target=target) == cell


def test_default_grid_is_log_spaced_from_a_tenth_to_4_and_6_sigmas_with_no_target_last() -> None:
    grid = default_grid()

    assert grid.shape == (32, 32)
    assert (grid.stops[[0, -1]].tolist(), grid.targets[[0, -2]].tolist()) == ([0.1, pytest.approx(4.0)], [0.1, pytest.approx(6.0)])
    assert grid.targets[-1] == np.inf
    assert grid.nearest(stop=1.0, target=np.inf)[1] == 31
    assert np.ptp(np.diff(np.log(grid.stops))) < 1e-12
    assert np.ptp(np.diff(np.log(grid.targets[:-1]))) < 1e-12


def test_sums_given_two_groups_then_add_up_to_those_of_all_trades() -> None:
    added, whole = sums_of(1.0, -2.0) + sums_of(3.0), sums_of(1.0, -2.0, 3.0)

    assert added.n == whole.n == 3
    for name in ("total", "squares", "wins", "gross_profit", "gross_loss"):
        assert getattr(added, name).tolist() == getattr(whole, name).tolist()
    assert added.ambiguous.tolist() == [[2.0]]


def test_sums_given_trades_then_have_their_mean_and_sample_variance() -> None:
    sums = sums_of(1.0, -2.0, 4.0, 5.0)

    assert sums.mean.tolist() == [[2.0]]
    assert sums.variance.tolist() == [[pytest.approx(10.0)]]  # (1 + 16 + 4 + 9) / 3
    assert sums_of(3.0).variance.tolist() == [[0.0]]
    assert sums_of(1.0, 3.0).variance.tolist() == [[pytest.approx(2.0)]]


def test_mean_given_no_trade_then_is_refused() -> None:
    with pytest.raises(InvalidTradeError, match="check n first"):
        _ = sums_of().mean
