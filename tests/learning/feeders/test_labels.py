from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.labels import (
    NO_LABEL,
    BarrierLabels,
    Barriers,
    LabelCosts,
    barrier_labels,
    one_at_a_time,
    trade_outcomes,
    uniqueness,
)
from tests.market.random_walks import random_walk

STEP = 300_000_000
FREE = LabelCosts(taker_fee=0.0, slippage=0.0, stop_slippage=0.0)


def labels_of(
    rows: list[tuple[float, float, float, float]], *, barriers: Barriers, is_short: bool = False, costs: LabelCosts = FREE
) -> BarrierLabels:
    columns = np.array(rows).T
    return barrier_labels(
        open_us=np.arange(len(rows), dtype=np.int64) * STEP,
        rates=(columns[0], columns[1], columns[2], columns[3]),
        # It moves, so that a label by the volatility of another candle than its own is a different one.
        sigma=0.01 * (1.0 + 0.3 * (np.arange(len(rows)) % 3)),
        barriers=barriers,
        is_short=is_short,
        costs=costs,
    )


FLAT = (100.0, 100.0, 100.0, 100.0)
ONE = Barriers(stop_sigma=1.0, target_sigma=2.0, horizon_candles=2)


@pytest.mark.parametrize(
    ("candle", "is_short", "net", "label"),
    [
        ((100.0, 102.5, 99.5, 101.0), False, 0.02, 1),  # target
        ((100.0, 102.5, 98.5, 101.0), False, -0.01, 0),  # both: the stop first
        ((103.0, 104.0, 102.5, 103.0), False, 0.03, 1),  # target gapped over: the open
        ((103.0, 104.0, 98.0, 103.0), False, 0.03, 1),  # target gapped over, the stop touched after it: the open
        ((97.0, 99.0, 96.0, 98.0), False, -0.03, 0),  # stop gapped over: the open
        ((97.0, 103.0, 96.0, 98.0), False, -0.03, 0),  # stop gapped over, the target touched after it: the open
        ((100.0, 100.5, 97.5, 98.0), True, 0.02, 1),
        ((100.0, 101.5, 97.5, 98.0), True, -0.01, 0),
        ((97.0, 101.5, 96.0, 98.0), True, 0.03, 1),
    ],
)
def test_label_given_a_candle_then_takes_the_level_it_touches(
    candle: tuple[float, float, float, float], is_short: bool, net: float, label: int
) -> None:
    made = labels_of([FLAT, FLAT, candle, FLAT, FLAT], barriers=ONE, is_short=is_short)

    assert made.net_move[0] == pytest.approx(net)
    assert (made.label[0], made.end[0]) == (label, 2)


def test_label_given_neither_level_then_leaves_at_the_horizon_and_pays() -> None:
    costs = LabelCosts(taker_fee=0.001, slippage=0.0, stop_slippage=0.0)
    made = labels_of([FLAT, FLAT, (100.0, 100.3, 99.9, 100.1)], barriers=ONE, costs=costs)

    assert made.net_move[0] == pytest.approx(0.001 - 0.001 - 1.001 * 0.001)
    assert (made.label[0], made.end[0]) == (0, 2)


def test_label_given_no_full_horizon_then_there_is_none() -> None:
    made = labels_of([FLAT] * 5, barriers=ONE)

    assert list(made.label == NO_LABEL) == [False, False, False, True, True]
    assert list(made.end[3:]) == [5, 5]


def test_label_given_a_gap_in_the_horizon_then_there_is_none() -> None:
    candles = random_walk(40, seed=1).drop(index=[20]).reset_index(drop=True)
    rates = tuple(candles[name].to_numpy() for name in ("open", "high", "low", "close"))
    made = barrier_labels(
        open_us=candles["open_time"].to_numpy(dtype="datetime64[us]").astype(np.int64),
        rates=rates,  # type: ignore[arg-type]
        sigma=np.full(39, 0.01),
        barriers=ONE,
        is_short=False,
        costs=FREE,
    )

    assert list(np.flatnonzero(made.label == NO_LABEL)) == [18, 19, 37, 38]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), is_short=st.booleans(), horizon=st.integers(1, 40), cut=st.integers(60, 290))
def test_labels_given_another_future_then_those_that_ended_stay(seed: int, is_short: bool, horizon: int, cut: int) -> None:
    candles = random_walk(300, seed=seed)
    barriers = Barriers(stop_sigma=1.0, target_sigma=1.0, horizon_candles=horizon)

    def made(count: int) -> BarrierLabels:
        part = candles.iloc[:count]
        rows = list(part[["open", "high", "low", "close"]].itertuples(index=False, name=None))
        return labels_of(rows, barriers=barriers, is_short=is_short)

    first, whole = made(cut), made(300)
    ended = np.flatnonzero(first.label != NO_LABEL)

    assert len(ended) == cut - horizon
    assert np.array_equal(first.label[ended], whole.label[ended])
    assert np.array_equal(first.end[ended], whole.end[ended])
    assert (first.end[ended] > ended).all()
    assert (first.end[ended] <= ended + horizon).all()


spans = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 50)), min_size=1, max_size=40, unique_by=lambda span: span[0])


@given(spans=spans)
def test_uniqueness_is_one_over_the_trades_open_at_the_entry(spans: list[tuple[int, int]]) -> None:
    start, length = (np.array(column) for column in zip(*sorted(spans), strict=True))
    end = start + length

    expected = [1.0 / ((start <= at) & (end >= at)).sum() for at in start]

    np.testing.assert_allclose(uniqueness(start, end), expected)


@given(spans=spans, cut=st.integers(1, 40))
def test_uniqueness_and_one_at_a_time_given_later_trades_then_stay_the_same(spans: list[tuple[int, int]], cut: int) -> None:
    start, length = (np.array(column) for column in zip(*sorted(spans), strict=True))
    end = start + length

    assert np.array_equal(uniqueness(start[:cut], end[:cut]), uniqueness(start, end)[:cut])
    assert np.array_equal(one_at_a_time(start[:cut], end[:cut]), one_at_a_time(start, end)[:cut])


@given(spans=spans)
def test_one_at_a_time_takes_each_trade_that_no_taken_one_overlaps(spans: list[tuple[int, int]]) -> None:
    start, length = (np.array(column) for column in zip(*sorted(spans), strict=True))
    end = start + length

    taken = one_at_a_time(start, end)

    assert taken[0]
    for index in range(len(start)):
        before = np.flatnonzero(taken[:index])
        assert taken[index] == bool((end[before] < start[index]).all())


@pytest.mark.parametrize("is_short", [False, True])
def test_trade_outcomes_given_funding_then_charge_what_is_due_while_the_trade_is_open(is_short: bool) -> None:
    count, step = 8, 3_600_000_000
    flat = np.full(count, 100.0)
    opens = np.arange(count) * step
    times, rates = np.array([2, 3, 4, 5]) * step, np.array([0.001, 0.002, 0.004, 0.008])

    made = trade_outcomes(
        open_us=opens,
        rates=(flat, flat, flat, flat),
        sigma=np.full(count, 0.01),
        barriers=Barriers(stop_sigma=4.0, horizon_candles=2),
        is_short=is_short,
        costs=FREE,
        funding=(times, rates),
    )

    # The trade of candle 1 is entered at 2 h and left at the close of candle 3, at 4 h.
    assert made.net_move[1] == pytest.approx(0.003 if is_short else -0.003)
    assert np.isnan(made.net_move[-2:]).all()


def test_barriers_given_no_stop_then_refuse() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Barriers(stop_sigma=0.0, target_sigma=1.0, horizon_candles=3)
