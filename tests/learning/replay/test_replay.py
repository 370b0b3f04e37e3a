"""Replays of groups of trades, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot3.errors import InvalidTradeError
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts, TradePaths
from bot3.learning.replay.replay import outcomes, sum_groups, summary
from bot3.trading.exit_law import REACHED, STOPPED
from tests.markets import CANDLE, FIRST, arrays, candle_frame, funding_frame

ROWS = [(100.0, 100.0, 100.0, 100.0), (100.0, 102.0, 99.5, 101.0), (101.0, 104.0, 95.0, 98.0), (98.0, 99.0, 97.0, 98.5)]
CANDLES = ReplayCandles.of(arrays(candle_frame(ROWS), funding_frame([FIRST, FIRST + 2 * CANDLE], [0.5, 0.01])))
FREE = ReplayCosts(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0)
GRID = ExitGrid(stops=np.array([3.0]), targets=np.array([1.0, 3.0]))
"""At a volatility of 1 %: a stop of 97, targets of 101 and 103 for a long."""


def paths_of(*is_short: bool) -> TradePaths:
    n = len(is_short)
    return TradePaths(
        entry=np.zeros(n, dtype=np.int64),
        end=np.full(n, 4),
        open_rate=np.full(n, 100.0),
        is_short=np.array(is_short, dtype=np.bool_),
        leverage=np.ones(n),
        sigma=np.full(n, 0.01),
    )


def test_sum_groups_given_two_groups_then_each_has_its_own_trades_and_weights() -> None:
    found = sum_groups(
        CANDLES, paths_of(True, False, False), group=np.array([1, 0, 1]), groups=3, grid=GRID, costs=FREE, weight=np.array([0.5, 2.0, 4.0])
    )

    # A long reaches 101 in candle 1, or ends at 97 in candle 2, whose target of 103 is ambiguous; 1.01 per unit of funding are paid there.
    assert len(found) == 3
    assert (found.n.tolist(), found.weight.tolist()) == ([1, 2, 0], [2.0, 4.5, 0.0])
    long = found.group(0)
    assert long.n == 1
    assert long.total[0].tolist() == pytest.approx([2.0 * 0.01, 2.0 * (-0.03 - 0.0101)], abs=1e-6)
    assert long.squares[0].tolist() == pytest.approx([2.0 * 0.01**2, 2.0 * 0.0401**2], abs=1e-7)
    assert (long.wins[0].tolist(), long.ambiguous[0].tolist()) == ([2.0, 0.0], [0.0, 1.0])
    assert long.gross_profit[0].tolist() == pytest.approx([0.02, 0.0], abs=1e-6)
    assert long.gross_loss[0].tolist() == pytest.approx([0.0, -0.0802], abs=1e-6)
    assert found.group(2).total.tolist() == [[0.0, 0.0]]


def test_sum_groups_given_no_weights_then_each_trade_counts_once() -> None:
    found = sum_groups(CANDLES, paths_of(False, False), group=np.array([0, 0]), groups=1, grid=GRID, costs=FREE)

    assert found.weight.tolist() == [2.0]
    assert found.group(0).total[0, 0] == pytest.approx(0.02, abs=1e-6)


def test_sum_groups_given_more_groups_than_a_short_integer_counts_then_keeps_them_apart() -> None:
    group = np.array([2**16, 0, 2**16])

    found = sum_groups(
        CANDLES,
        paths_of(False, True, False),
        group=group,
        groups=2**16 + 1,
        grid=ExitGrid(stops=np.array([3.0]), targets=np.array([1.0])),
        costs=FREE,
    )

    assert found.group(2**16).total[0, 0] == pytest.approx(0.02, abs=1e-6)
    assert found.group(0).n == 1


@pytest.mark.parametrize("group", [[0, 2], [-1, 0]])
def test_sum_groups_given_a_group_that_does_not_exist_then_is_refused(group: list[int]) -> None:
    with pytest.raises(InvalidTradeError, match="groups must be from 0 to 1"):
        sum_groups(CANDLES, paths_of(False, False), group=np.array(group), groups=2, grid=GRID, costs=FREE)


def test_sum_groups_given_no_trade_then_all_sums_are_zero() -> None:
    found = sum_groups(CANDLES, paths_of(), group=np.zeros(0, dtype=np.int64), groups=2, grid=GRID, costs=FREE)

    assert (found.n.tolist(), found.sums.shape, found.sums.any()) == ([0, 0], (2, 5, 1, 2), np.False_)


def test_outcomes_given_own_levels_then_name_the_end_of_each_trade() -> None:
    found = outcomes(CANDLES, paths_of(False, False), stop_sigma=np.array([3.0, 3.0]), target_sigma=np.array([1.0, 3.0]), costs=FREE)

    assert len(found) == 2
    assert found.net.tolist() == pytest.approx([0.01, -0.0401], abs=1e-6)
    assert (found.ended_at.tolist(), found.code.tolist()) == ([1, 2], [REACHED, STOPPED])
    assert found.is_ambiguous.tolist() == [False, True]


@pytest.mark.parametrize(("stop", "target"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_outcomes_given_a_distance_not_above_zero_then_are_refused(stop: float, target: float) -> None:
    with pytest.raises(InvalidTradeError, match="distances above 0"):
        outcomes(CANDLES, paths_of(False), stop_sigma=np.array([stop]), target_sigma=np.array([target]), costs=FREE)


@pytest.mark.parametrize(("leverage", "is_refused"), [(10.0, True), (9.9, False)])
def test_outcomes_given_no_margin_above_the_maintenance_margin_then_are_refused(leverage: float, is_refused: bool) -> None:
    paths, costs = replace(paths_of(False), leverage=np.array([leverage])), replace(FREE, maintenance_margin_ratio=0.1)
    levels = {"stop_sigma": np.ones(1), "target_sigma": np.ones(1)}

    if is_refused:
        with pytest.raises(InvalidTradeError, match="leaves no room"):
            outcomes(CANDLES, paths, **levels, costs=costs)
    else:
        assert len(outcomes(CANDLES, paths, **levels, costs=costs)) == 1


def test_summary_given_a_long_and_a_short_then_has_their_worst_best_and_last_move_and_funding() -> None:
    found = summary(CANDLES, paths_of(False, True))

    assert found.mae_move.tolist() == pytest.approx([-0.05, -0.04])
    assert found.mfe_move.tolist() == pytest.approx([0.04, 0.05])
    assert found.exit_move.tolist() == pytest.approx([-0.015, 0.015])
    assert found.funding_move.tolist() == pytest.approx([-0.0101, 0.0101])
