"""Candles in the format of the kernel, and the paths of trades over them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bot3.errors import InvalidTradeError
from bot3.learning.replay.kernel import BLOCK_LOW, BLOCK_MINUS_HIGH, CLOSE, LOW, MINUS_HIGH, OPEN
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts, TradePaths
from tests.markets import CANDLE, FIRST, arrays, candle_frame, funding_frame, random_candles

PATHS = TradePaths(
    entry=np.array([0, 2]),
    end=np.array([2, 6]),
    open_rate=np.array([100.0, 50.0]),
    is_short=np.array([False, True]),
    leverage=np.array([1.0, 5.0]),
    sigma=np.array([0.02, 0.03]),
)


def test_costs_given_none_then_are_those_of_a_usual_exchange() -> None:
    costs = ReplayCosts()

    assert (costs.taker_fee, costs.maker_fee, costs.slippage, costs.stop_slippage) == (0.0005, 0.0002, 0.0001, 0.0003)
    assert (costs.maintenance_margin_ratio, costs.target_rests) == (0.01, False)
    assert costs.round_trip == pytest.approx(0.0011)


def test_candles_given_a_pair_then_have_its_prices_and_minima_of_blocks() -> None:
    frame = random_candles(2, candles=40)

    candles = ReplayCandles.of(arrays(frame))

    low, minus_high = frame["low"].to_numpy(np.float32), -frame["high"].to_numpy(np.float32)
    assert len(candles) == 40
    assert candles.row(OPEN).tolist() == frame["open"].to_numpy(np.float32).tolist()
    assert candles.row(CLOSE).tolist() == frame["close"].to_numpy(np.float32).tolist()
    assert (candles.row(LOW).tolist(), candles.row(MINUS_HIGH).tolist()) == (low.tolist(), minus_high.tolist())
    assert candles.row(BLOCK_LOW).tolist() == [low[at : at + 16].min() for at in range(40)]
    assert candles.row(BLOCK_MINUS_HIGH).tolist() == [minus_high[at : at + 16].min() for at in range(40)]
    assert candles.prices[6 * 40 :].tolist() == [0.0] * 16


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_candles_given_fewer_than_a_block_then_minima_are_of_those_left(count: int) -> None:
    frame = random_candles(3, candles=count)

    found = ReplayCandles.of(arrays(frame)).row(BLOCK_LOW)

    low = frame["low"].to_numpy(np.float32)
    assert found.tolist() == [low[at:].min() for at in range(count)]


def test_candles_given_funding_then_it_is_paid_on_the_value_at_the_open() -> None:
    rows = [(100.0, 101.0, 99.0, 100.0), (110.0, 111.0, 99.0, 100.0), (120.0, 121.0, 99.0, 100.0)]
    funding = funding_frame([FIRST, FIRST + CANDLE, FIRST + 2 * CANDLE], [0.5, 0.01, 0.02])

    candles = ReplayCandles.of(arrays(candle_frame(rows), funding))

    assert candles.funding.tolist() == pytest.approx([0.0, 1.1, 3.5])


def test_joined_given_two_pairs_then_each_row_is_one_after_the_other() -> None:
    first, second = (ReplayCandles.of(arrays(random_candles(seed, candles=20 + seed))) for seed in (1, 2))

    joined = ReplayCandles.joined([first, second])

    assert len(joined) == 43
    for row in range(6):
        assert joined.row(row).tolist() == [*first.row(row).tolist(), *second.row(row).tolist()]
    assert joined.funding.tolist() == [*first.funding.tolist(), *second.funding.tolist()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sigma": np.array([0.02])}, "same length"),
        ({"entry": np.array([-1, 2])}, "at least one candle"),
        ({"end": np.array([1, 6])}, "at least one candle"),
        ({"open_rate": np.array([100.0, 0.0])}, "path 1"),
        ({"leverage": np.array([0.9, 5.0])}, "path 0"),
        ({"sigma": np.array([0.02, 0.0])}, "path 1"),
        ({"sigma": np.array([np.inf, 0.03])}, "path 0"),
        ({"sigma": np.array([0.02, np.nan])}, "path 1"),
    ],
)
def test_paths_given_an_invalid_column_then_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTradeError, match=message):
        replace(PATHS, **changes)


def test_paths_given_the_entry_candle_then_it_may_be_the_only_one() -> None:
    paths = replace(PATHS, end=np.array([1, 3]), has_entry_candle=True)

    assert len(paths) == 2
    with pytest.raises(InvalidTradeError, match="at least one candle"):
        replace(paths, end=np.array([0, 3]))


def test_require_inside_given_the_last_candle_then_accepts_and_one_less_refuses() -> None:
    candles = [ReplayCandles.of(arrays(random_candles(1, candles=count))) for count in (6, 5)]

    PATHS.require_inside(candles[0])
    PATHS.take(np.zeros(0, dtype=np.int64)).require_inside(candles[1])
    with pytest.raises(InvalidTradeError, match="candle 6 of 5"):
        PATHS.require_inside(candles[1])


def test_take_given_rows_then_returns_them_in_their_order() -> None:
    paths = replace(PATHS, has_entry_candle=True)

    taken = paths.take(np.array([1, 0, 1]))

    assert taken.has_entry_candle
    for name in ("entry", "end", "open_rate", "is_short", "leverage", "sigma"):
        first, second = getattr(paths, name).tolist()
        assert getattr(taken, name).tolist() == [second, first, second]
