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
from bot3.trading.exit_law import HELD, LIQUIDATED, REACHED, STOPPED
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
        (entry(-1, 100.0),),
        (entry(0, 100.0, 0.0),),
        (entry(0, 100.0), entry(1, 100.0, 0.0)),
        (entry(0, 100.0), partial_exit(1, 100.0, -1.0)),
    ],
    ids=[
        "none",
        "exit first",
        "nothing left",
        "back in time",
        "rate of 0",
        "no candle after it",
        "before the candles",
        "amount of 0",
        "second amount of 0",
        "negative exit",
    ],
)
def test_path_given_orders_that_cannot_be_then_refuses(orders: tuple[PositionOrder, ...]) -> None:
    with pytest.raises(InvalidTradeError):
        long_with(*orders, end=3)


@pytest.mark.parametrize("changes", [{"leverage": 0.99}, {"sigma": 0.0}, {"sigma": np.inf}, {"sigma": np.nan}])
def test_path_given_an_invalid_leverage_or_volatility_then_refuses(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidTradeError, match="leverage must be at least 1 and sigma above 0"):
        replace(long_with(entry(0, 100.0), end=2), **changes)


def test_path_given_numbers_at_their_bounds_then_accepts() -> None:
    path = long_with(entry(0, 0.5, 0.1), partial_exit(0, 0.5, 0.05), entry(1, 0.5, 0.1), end=2)

    assert (path.entry, len(path.orders)) == (0, 3)


@pytest.mark.parametrize(
    ("end", "levels", "message"),
    [
        (5, (1.0, 1.0), "candle 5 of 4"),
        (4, (0.0, 1.0), "distances above 0"),
        (4, (1.0, 0.0), "distances above 0"),
        (4, (-1.0, 1.0), "above 0"),
    ],
)
def test_replay_given_a_path_or_levels_that_cannot_be_then_refuses(end: int, levels: tuple[float, float], message: str) -> None:
    candles, path = flat([100.0] * 4, [100.0] * 4), long_with(entry(0, 100.0), end=end)

    with pytest.raises(InvalidTradeError, match=message):
        replayed(candles, path, stop=levels[0], target=levels[1])


@pytest.mark.parametrize(("leverage", "is_refused"), [(10.0, True), (9.9, False)])
def test_replay_given_no_margin_above_the_maintenance_margin_then_refuses(leverage: float, is_refused: bool) -> None:
    candles, path = flat([100.0] * 4, [100.0] * 4), replace(long_with(entry(0, 100.0), end=4), leverage=leverage)
    costs = replace(FREE, maintenance_margin_ratio=0.1)

    if is_refused:
        with pytest.raises(InvalidTradeError, match="leaves no room"):
            replayed(candles, path, stop=1.0, target=1.0, costs=costs)
    else:
        assert replayed(candles, path, stop=1.0, target=1.0, costs=costs).code == HELD


@pytest.mark.parametrize(("low", "code", "net"), [(96.0, STOPPED, -0.03), (80.0, STOPPED, -0.03)])
def test_replay_given_a_stop_before_the_liquidation_then_is_stopped(low: float, code: int, net: float) -> None:
    path = replace(long_with(entry(0, 100.0), end=3), leverage=5.0)

    found = replayed(flat([100.0, low, 100.0], [100.0] * 3), path, stop=3.0, target=9.0, costs=FREE)

    assert (found.code, found.net, found.is_ambiguous) == (code, pytest.approx(net), False)


def test_replay_given_the_liquidation_before_the_stop_then_loses_the_margin() -> None:
    # At 5x without maintenance margin the margin is gone at 80; the stop of 30 % lies at 70.
    path = replace(long_with(entry(0, 100.0), end=3), leverage=5.0)

    found = replayed(
        flat([100.0, 79.0, 100.0], [100.0] * 3), path, stop=30.0, target=9.0, costs=replace(FREE, maintenance_margin_ratio=0.0)
    )

    assert (found.code, found.ended_at, found.net) == (LIQUIDATED, 1, pytest.approx(-0.2))


def test_replay_given_stop_and_target_in_one_candle_then_the_stop_is_first_and_ambiguous() -> None:
    found = replayed(flat([100.0, 96.0, 100.0], [100.0, 104.0, 100.0]), long_with(entry(0, 100.0), end=3), stop=3.0, target=3.0, costs=FREE)

    assert (found.code, found.is_ambiguous) == (STOPPED, True)


def test_replay_given_the_target_in_the_candle_after_an_order_then_is_not_ambiguous() -> None:
    path = long_with(entry(0, 100.0), entry(1, 100.0), end=3)

    found = replayed(flat([100.0] * 3, [100.0, 100.0, 104.0]), path, stop=3.0, target=3.0, costs=FREE)

    assert (found.code, found.is_ambiguous, found.orders_done, found.ended_at) == (REACHED, False, 2, 2)


def gapped(opened: float) -> CandleArrays:
    """Return three candles at 100, the second of which opens elsewhere."""
    candles = flat([100.0, min(opened, 100.0), 100.0], [100.0, max(opened, 100.0), 100.0])
    return replace(candles, open=np.array([100.0, opened, 100.0]))


@pytest.mark.parametrize(("opened", "code", "net"), [(95.0, STOPPED, -0.05), (106.0, REACHED, 0.06)])
def test_replay_given_an_open_beyond_a_level_in_the_candle_of_an_order_then_fills_there_and_is_certain(
    opened: float, code: int, net: float
) -> None:
    path = long_with(entry(0, 100.0), entry(1, 100.0), end=3)

    found = replayed(gapped(opened), path, stop=3.0, target=3.0, costs=FREE)

    assert (found.code, found.net, found.orders_done, found.is_ambiguous) == (code, pytest.approx(net), 1, False)


def test_replay_given_an_order_at_or_after_the_end_then_ignores_it() -> None:
    path = long_with(entry(0, 100.0), entry(3, 50.0), end=3)

    found = replayed(flat([100.0] * 4, [100.0] * 4), path, stop=3.0, target=3.0, costs=FREE)

    assert (found.code, found.orders_done, found.ended_at, found.net) == (HELD, 1, 2, 0.0)


@pytest.mark.parametrize(
    ("high", "rests", "net"),
    [
        (104.0, True, 103.0 * (1.0 - 0.0002) / (100.0 * 1.0005) - 1.0),  # trades through a resting target: the maker fee
        (103.0, True, 103.0 * (1.0 - 0.0005) * (1.0 - 0.0001) / (100.0 * 1.0005) - 1.0),  # only touches it
        (104.0, False, 103.0 * (1.0 - 0.0005) * (1.0 - 0.0001) / (100.0 * 1.0005) - 1.0),
    ],
)
def test_replay_given_a_target_that_rests_then_pays_the_maker_fee_if_the_price_trades_through_it(
    high: float, rests: bool, net: float
) -> None:
    candles = flat([100.0] * 3, [100.0, high, 100.0])

    found = replayed(candles, long_with(entry(0, 100.0), end=3), stop=3.0, target=3.0, costs=ReplayCosts(target_rests=rests))

    assert found.net == pytest.approx(net, rel=1e-5)
