"""Positions of several orders against the oracle, and the rules that hold whatever the market does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.order_replay import PositionOrder, PositionOutcome, PositionPath, replay_position
from bot3.learning.replay.replay import ReplayCandles, ReplayCosts, TradePaths, outcomes
from bot3.trading.exit_law import HELD, REACHED, STOPPED
from tests.learning.position_oracle import oracle_position
from tests.learning.replay.test_kernel import candles_of

COSTS = ReplayCosts(target_rests=True)
LEVELS = st.sampled_from([0.1, 0.3, 0.7, 1.5, 4.0])
MARKETS = st.tuples(st.integers(0, 10_000), st.sampled_from([0.0005, 0.003, 0.02]), st.sampled_from([0.0, 0.01, 0.08]))


def market(drawn: tuple[int, float, float], *, n: int = 200) -> CandleArrays:
    return candles_of(drawn[0], n=n, step=drawn[1], gap=drawn[2])


def position_on(candles: CandleArrays, *, seed: int, orders: int) -> PositionPath:
    """Return a position with some orders after its entry, each at a rate of its own candle; some of them lie behind the horizon."""
    rng = np.random.default_rng(seed)
    entry = int(rng.integers(0, 20))
    places = [entry, *sorted(rng.integers(entry, len(candles), orders).tolist())]
    held, made = 0.0, []
    for number, place in enumerate(places):
        is_entry = number == 0 or bool(rng.random() < 0.6)
        amount = float(rng.uniform(0.5, 3.0)) if is_entry else held * float(rng.uniform(0.1, 0.9))
        rate = float(rng.uniform(candles.low[place], candles.high[place]))
        made.append(PositionOrder(candle=place, is_entry=is_entry, rate=rate, amount=amount))
        held += amount if is_entry else -amount
    return PositionPath(
        orders=tuple(made),
        end=int(rng.integers(entry + 2, len(candles) + 1)),
        is_short=bool(rng.random() < 0.5),
        leverage=float(rng.choice([1.0, 2.0, 5.0, 10.0, 7.3])),
        sigma=float(rng.uniform(0.002, 0.08)),
    )


def replayed(candles: CandleArrays, path: PositionPath, *, stop: float, target: float, costs: ReplayCosts = COSTS) -> PositionOutcome:
    return replay_position(ReplayCandles.of(candles), path, stop_sigma=stop, target_sigma=target, costs=costs)


def same(first: PositionOutcome, second: PositionOutcome) -> bool:
    return first.net == pytest.approx(second.net, rel=1e-9, abs=1e-12) and (first.ended_at, first.code) == (second.ended_at, second.code)


@settings(max_examples=100, deadline=None)
@given(drawn=MARKETS, orders=st.integers(0, 6), stop=LEVELS, target=LEVELS, rests=st.booleans())
def test_replay_equals_the_oracle(drawn: tuple[int, float, float], orders: int, stop: float, target: float, rests: bool) -> None:
    candles = market(drawn)
    path, costs = position_on(candles, seed=drawn[0], orders=orders), replace(COSTS, target_rests=rests)

    found = replayed(candles, path, stop=stop, target=target, costs=costs)

    expected = oracle_position(candles, path, stop_move=stop * path.sigma, target_move=target * path.sigma, costs=costs)
    assert (found.ended_at, found.orders_done) == (expected.ended_at, expected.orders_done)
    assert found.net == pytest.approx(expected.net, rel=1e-9, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(drawn=MARKETS, stop=LEVELS, target=LEVELS)
def test_replay_of_one_entry_is_the_kernels(drawn: tuple[int, float, float], stop: float, target: float) -> None:
    candles = market(drawn)
    path = position_on(candles, seed=drawn[0], orders=0)
    trade = TradePaths(
        entry=np.array([path.entry]),
        end=np.array([path.end]),
        open_rate=np.array([path.orders[0].rate]),
        is_short=np.array([path.is_short]),
        leverage=np.array([path.leverage]),
        sigma=np.array([path.sigma]),
    )

    found = replayed(candles, path, stop=stop, target=target)

    kernel = outcomes(ReplayCandles.of(candles), trade, stop_sigma=np.array([stop]), target_sigma=np.array([target]), costs=COSTS)
    assert (found.ended_at, found.code, found.is_ambiguous) == (kernel.ended_at[0], kernel.code[0], kernel.is_ambiguous[0])
    assert found.net == pytest.approx(kernel.net[0], rel=1e-12, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(drawn=MARKETS, orders=st.integers(1, 6), stop=LEVELS, target=LEVELS)
def test_orders_from_the_end_on_change_nothing(drawn: tuple[int, float, float], orders: int, stop: float, target: float) -> None:
    candles = market(drawn)
    path = position_on(candles, seed=drawn[0], orders=orders)

    found = replayed(candles, path, stop=stop, target=target)

    alone = replayed(candles, replace(path, orders=path.orders[: found.orders_done]), stop=stop, target=target)
    assert same(found, alone)


@settings(max_examples=60, deadline=None)
@given(drawn=MARKETS, orders=st.integers(0, 6), stop=LEVELS, target=LEVELS, share=st.floats(0.05, 0.95))
def test_an_order_split_in_two_changes_nothing(
    drawn: tuple[int, float, float], orders: int, stop: float, target: float, share: float
) -> None:
    candles = market(drawn)
    path = position_on(candles, seed=drawn[0], orders=orders)
    place = drawn[0] % len(path.orders)
    order = path.orders[place]
    halves = (replace(order, amount=share * order.amount), replace(order, amount=(1.0 - share) * order.amount))
    split = replace(path, orders=(*path.orders[:place], *halves, *path.orders[place + 1 :]))

    assert same(replayed(candles, path, stop=stop, target=target), replayed(candles, split, stop=stop, target=target))


@settings(max_examples=40, deadline=None)
@given(drawn=MARKETS, orders=st.integers(0, 6), stop=LEVELS, target=LEVELS, factor=st.floats(0.01, 1e6))
def test_amounts_times_a_factor_change_nothing(
    drawn: tuple[int, float, float], orders: int, stop: float, target: float, factor: float
) -> None:
    candles = market(drawn)
    path = position_on(candles, seed=drawn[0], orders=orders)
    larger = replace(path, orders=tuple(replace(order, amount=factor * order.amount) for order in path.orders))

    assert same(replayed(candles, path, stop=stop, target=target), replayed(candles, larger, stop=stop, target=target))


def flat(lows: list[float], highs: list[float]) -> CandleArrays:
    """Return candles that open and close at 100 and reach what is given."""
    n = len(lows)
    hundred = np.full(n, 100.0)
    return CandleArrays(
        open_us=np.arange(n) * 300_000_000,
        open=hundred,
        high=np.array(highs),
        low=np.array(lows),
        close=hundred,
        sigma=np.full(n, 0.01),
        funding_sum=np.zeros(n),
        funding_us=np.zeros(0, dtype=np.int64),
    )


FREE = ReplayCosts(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0)


def long_with(*orders: PositionOrder, end: int) -> PositionPath:
    return PositionPath(orders=orders, end=end, is_short=False, leverage=1.0, sigma=0.01)


def entry(candle: int, rate: float, amount: float = 1.0) -> PositionOrder:
    return PositionOrder(candle=candle, is_entry=True, rate=rate, amount=amount)


def partial_exit(candle: int, rate: float, amount: float) -> PositionOrder:
    return PositionOrder(candle=candle, is_entry=False, rate=rate, amount=amount)


def test_replay_given_a_second_entry_below_then_the_stop_stays_and_the_target_follows_the_average() -> None:
    # Average 98; the stop of 3 % stays at 97 (95.06 from the average), the target of 3 % falls from 103 to 100.94.
    path = long_with(entry(0, 100.0), entry(1, 96.0), end=4)

    stopped = replayed(flat([100.0, 98.0, 97.0, 100.0], [100.0, 101.0, 100.5, 100.0]), path, stop=3.0, target=3.0, costs=FREE)
    reached = replayed(flat([100.0, 98.0, 97.5, 100.0], [100.0, 101.0, 101.0, 100.0]), path, stop=3.0, target=3.0, costs=FREE)

    assert (stopped.code, stopped.ended_at, stopped.net) == (STOPPED, 2, pytest.approx(97.0 / 98.0 - 1.0))
    assert (reached.code, reached.ended_at, reached.net) == (REACHED, 2, pytest.approx(0.03))


def test_replay_given_a_second_entry_above_then_the_stop_tightens() -> None:
    # Average 101: the stop of 3 % rises from 97 to 97.97.
    path = long_with(entry(0, 100.0), entry(1, 102.0), end=4)

    found = replayed(flat([100.0, 100.0, 97.9, 100.0], [100.0, 102.0, 100.0, 100.0]), path, stop=3.0, target=9.0, costs=FREE)

    assert (found.code, found.ended_at, found.net) == (STOPPED, 2, pytest.approx(-0.03))


def test_replay_given_a_partial_exit_then_its_part_is_realised_over_all_that_was_entered() -> None:
    # Half of two leaves at 102 (+2 of the 200 entered), the other half at the close.
    path = long_with(entry(0, 100.0, 2.0), partial_exit(1, 102.0, 1.0), end=3)

    found = replayed(flat([100.0] * 3, [100.0, 102.0, 100.0]), path, stop=3.0, target=9.0, costs=FREE)

    assert (found.code, found.net) == (HELD, pytest.approx(2.0 / 200.0))


def test_replay_given_a_stop_in_the_candle_of_an_order_then_the_order_does_not_happen_and_it_is_ambiguous() -> None:
    path = long_with(entry(0, 100.0), entry(1, 98.0, 5.0), end=3)

    found = replayed(flat([100.0, 96.0, 100.0], [100.0] * 3), path, stop=3.0, target=9.0, costs=FREE)

    assert (found.code, found.orders_done, found.is_ambiguous, found.net) == (STOPPED, 1, True, pytest.approx(-0.03))


@pytest.mark.parametrize(
    "orders",
    [
        (),
        (partial_exit(0, 100.0, 1.0),),
        (entry(0, 100.0), partial_exit(1, 100.0, 1.0)),
        (entry(1, 100.0), entry(0, 100.0)),
        (entry(0, 0.0),),
        (entry(2, 100.0),),
    ],
    ids=["none", "exit first", "nothing left", "back in time", "rate of 0", "no candle after it"],
)
def test_path_given_orders_that_cannot_be_then_refuses(orders: tuple[PositionOrder, ...]) -> None:
    with pytest.raises(InvalidTradeError):
        long_with(*orders, end=3)
