"""Replay against an oracle written from the rule, trade by trade and cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bot3.learning.candle_arrays import CandleArrays
from bot3.learning.grids import ExitGrid
from bot3.learning.replay import ReplayCosts, cell_outcomes, replay_trades, sum_cells

GRID = ExitGrid(stops=np.array([0.2, 0.7, 1.5, 4.0]), targets=np.array([0.3, 1.0, 2.5]))
COSTS = ReplayCosts()


def arrays(*candles: tuple[float, float, float, float], funding: float = 0.0) -> CandleArrays:
    """Candles as (open, high, low, close)."""
    columns = np.array(candles).T
    n = len(candles)
    return CandleArrays(
        open_us=np.arange(n) * 300_000_000,
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        sigma=np.full(n, 0.02),
        funding_sum=np.arange(n) * funding,
        has_funding=True,
    )


def outcome(
    candles: CandleArrays, *, is_short: bool, leverage: float, sigma: float, stop: float, target: float, costs: ReplayCosts
) -> float:
    """Net move of a trade opened at 100 in candle 0, by the rule in words."""
    side = -1.0 if is_short else 1.0
    liquidation = max(1.0 / leverage - costs.maintenance_margin_ratio, 0.0)
    is_liquidated = stop * sigma >= liquidation
    stop_level, target_level = -min(stop * sigma, liquidation), target * sigma

    def net(move: float, i: int, slippage: float) -> float:
        funding = -side * (candles.funding_sum[i] - candles.funding_sum[0])
        return float(move - costs.taker_fee - (costs.taker_fee + slippage) * (1.0 + side * move) + funding)

    def stopped(move: float, i: int) -> float:
        lost_all = -1.0 / leverage - costs.taker_fee
        return lost_all if is_liquidated else max(net(move, i, costs.slippage + costs.stop_slippage), lost_all)

    for i in range(1, len(candles)):
        opened = side * (candles.open[i] / 100.0 - 1.0)
        moves = [side * (candles.low[i] / 100.0 - 1.0), side * (candles.high[i] / 100.0 - 1.0)]
        if opened <= stop_level:
            return stopped(opened, i)
        if opened >= target_level:
            return net(opened, i, costs.slippage)
        if min(moves) <= stop_level:
            return stopped(stop_level, i)
        if max(moves) >= target_level:
            return net(target_level, i, costs.slippage)
    return net(side * (candles.close[-1] / 100.0 - 1.0), len(candles) - 1, costs.slippage)


def replayed_cells(
    candles: CandleArrays, *, is_short: bool, leverage: float = 1.0, sigma: float = 0.02, costs: ReplayCosts = COSTS
) -> NDArray[np.float64]:
    replayed = replay_trades(
        candles,
        entry=np.array([0]),
        end=np.array([len(candles)]),
        open_rate=np.array([100.0]),
        is_short=np.array([is_short]),
        leverage=np.array([leverage]),
        sigma=np.array([sigma]),
        grid=GRID,
        costs=costs,
    )
    return sum_cells(replayed, rows=np.array([0])).total


@st.composite
def paths(draw: st.DrawFn) -> CandleArrays:
    candles = [(100.0, 100.0, 100.0, 100.0)]
    for _ in range(draw(st.integers(1, 12))):
        opened = candles[-1][3] * (1.0 + draw(st.floats(-0.04, 0.04)))
        closed = opened * (1.0 + draw(st.floats(-0.04, 0.04)))
        high = max(opened, closed) * (1.0 + draw(st.floats(0.0, 0.03)))
        candles.append((opened, high, min(opened, closed) * (1.0 - draw(st.floats(0.0, 0.03))), closed))
    return arrays(*candles, funding=draw(st.floats(-0.001, 0.001)))


@settings(max_examples=150, deadline=None)
@given(candles=paths(), is_short=st.booleans(), leverage=st.floats(1.0, 10.0), sigma=st.floats(0.005, 0.08))
def test_replay_equals_the_oracle_in_every_cell(candles: CandleArrays, is_short: bool, leverage: float, sigma: float) -> None:
    found = replayed_cells(candles, is_short=is_short, leverage=leverage, sigma=sigma)

    expected = [
        [
            outcome(candles, is_short=is_short, leverage=leverage, sigma=sigma, stop=stop, target=target, costs=COSTS)
            for target in GRID.targets
        ]
        for stop in GRID.stops
    ]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(candles=paths(), is_short=st.booleans(), leverage=st.floats(1.0, 10.0))
def test_replay_is_never_better_for_costs(candles: CandleArrays, is_short: bool, leverage: float) -> None:
    free = ReplayCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0)

    with_costs = replayed_cells(candles, is_short=is_short, leverage=leverage)
    without = replayed_cells(candles, is_short=is_short, leverage=leverage, costs=free)

    assert (with_costs <= without + 1e-12).all()


def test_replay_given_stop_and_target_in_one_candle_then_the_stop_comes_first() -> None:
    candles = arrays((100.0, 100.0, 100.0, 100.0), (100.0, 103.0, 97.0, 100.0))

    replayed = replay_trades(
        candles,
        entry=np.array([0]),
        end=np.array([2]),
        open_rate=np.array([100.0]),
        is_short=np.array([False]),
        leverage=np.array([1.0]),
        sigma=np.array([0.02]),
        grid=GRID,
        costs=ReplayCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0),
    )
    outcomes, ambiguous = cell_outcomes(replayed, rows=np.array([0]), cell=(1, 1))

    assert outcomes[0] == pytest.approx(-0.014)
    assert ambiguous == 1.0


def test_replay_given_a_gap_over_the_stop_then_fills_at_the_open() -> None:
    candles = arrays((100.0, 100.0, 100.0, 100.0), (95.0, 96.0, 94.0, 95.0))

    found = replayed_cells(candles, is_short=False, costs=ReplayCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0))

    assert found[0, 0] == pytest.approx(-0.05)


def test_replay_given_a_stop_beyond_liquidation_then_the_whole_margin_is_lost() -> None:
    candles = arrays((100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 85.0, 110.0))

    found = replayed_cells(candles, is_short=False, leverage=10.0, sigma=0.05)

    assert found[3, 2] == pytest.approx(-0.1 - COSTS.taker_fee)


def test_replay_given_a_path_beyond_the_candles_then_refuses() -> None:
    candles = arrays((100.0, 100.0, 100.0, 100.0))

    with pytest.raises(ValueError, match="at least one candle"):
        replayed_cells(candles, is_short=False)
