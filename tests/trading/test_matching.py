"""What candles make of a trade."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.trading.exit_rules import ExitRule
from bot3.trading.matching import MatchedExit, OpenPath, margin_rates, match_trade
from bot3.trading.trades import ExitReason
from tests.markets import CANDLE, COSTS, FIRST, arrays, candle_frame, funding_frame, random_candles

CANDLE_US = CANDLE // timedelta(microseconds=1)
QUIET = (100.0, 100.1, 99.9, 100.0)
LONG = OpenPath(
    entry=0,
    is_short=False,
    leverage=5.0,
    open_rate=100.0,
    stop_rate=98.0,
    take_profit_rate=103.0,
    maintenance_margin_ratio=0.01,
    rule=ExitRule(giveback_activation_move=0.02, giveback_share=0.5, expires_at=FIRST + timedelta(days=1)),
    break_even_rate=100.14,
)
SHORT = replace(LONG, is_short=True, stop_rate=102.0, take_profit_rate=97.0, break_even_rate=99.86)


def expiring(path: OpenPath, *, candles: int) -> OpenPath:
    return replace(path, rule=replace(path.rule, expires_at=FIRST + candles * CANDLE))


def moving(path: OpenPath) -> OpenPath:
    """Return the path with a break-even stop from an open move of 1 % on."""
    return replace(path, rule=replace(path.rule, break_even_activation_move=0.01))


def matched(path: OpenPath, *rows: tuple[float, float, float, float]) -> MatchedExit | None:
    return match_trade(arrays(candle_frame(list(rows))), path, costs=COSTS, candle_us=CANDLE_US)


def outcome(path: OpenPath, *rows: tuple[float, float, float, float]) -> tuple[ExitReason, float, int]:
    found = matched(path, *rows)
    assert found is not None
    return found.reason, found.close_rate, found.index


def test_match_trade_given_stop_and_target_in_one_candle_then_the_stop_comes_first() -> None:
    assert outcome(LONG, QUIET, (100.0, 104.0, 97.0, 101.0)) == (ExitReason.STOP_LOSS, pytest.approx(98.0 * 0.9996), 1)


def test_match_trade_given_a_short_stopped_then_buys_back_dearer() -> None:
    assert outcome(SHORT, (100.0, 102.5, 99.0, 101.0)) == (ExitReason.STOP_LOSS, pytest.approx(102.0 * 1.0004), 0)


def test_match_trade_given_a_gap_beyond_the_stop_then_fills_at_the_open() -> None:
    assert outcome(LONG, QUIET, (96.0, 99.0, 95.0, 98.5)) == (ExitReason.STOP_LOSS, pytest.approx(96.0 * 0.9996), 1)


def test_match_trade_given_a_gap_beyond_the_target_then_fills_better_even_if_the_stop_is_touched_later() -> None:
    assert outcome(LONG, QUIET, (104.0, 104.5, 97.0, 98.0)) == (ExitReason.ROI, pytest.approx(104.0 * 0.9999), 1)


def test_match_trade_given_the_target_touched_in_the_entry_candle_then_leaves_there() -> None:
    assert outcome(LONG, (100.0, 103.0, 99.5, 101.0)) == (ExitReason.ROI, pytest.approx(103.0 * 0.9999), 0)


def test_match_trade_given_a_gap_beyond_liquidation_then_loses_the_stake_and_no_fee() -> None:
    found = matched(LONG, QUIET, (80.5, 81.0, 80.0, 80.9))

    assert found is not None
    assert (found.reason, found.close_rate, found.fee) == (ExitReason.LIQUIDATION, pytest.approx(80.0), 0.0)


def test_match_trade_given_a_stop_behind_liquidation_then_is_liquidated() -> None:
    assert outcome(replace(LONG, stop_rate=70.0), QUIET, (100.0, 100.0, 75.0, 80.0)) == (ExitReason.LIQUIDATION, pytest.approx(80.0), 1)


def test_match_trade_given_half_of_the_best_is_gone_then_leaves_at_the_next_open() -> None:
    found = matched(LONG, (100.0, 102.4, 100.0, 102.0), (102.0, 102.1, 101.0, 101.1), (101.3, 101.4, 101.2, 101.3))

    assert found is not None
    assert (found.reason, found.index) == (ExitReason.GIVEBACK, 2)
    assert found.close_rate == pytest.approx(101.3 * 0.9999)
    assert found.close_us == instant_us(FIRST + 2 * CANDLE)


def test_match_trade_given_the_best_below_the_activation_then_gives_back_all_and_stays() -> None:
    assert matched(LONG, (100.0, 101.9, 100.0, 101.5), (101.5, 101.6, 99.0, 99.5), QUIET) is None


def test_match_trade_given_the_horizon_is_over_then_leaves_at_the_next_open() -> None:
    short_lived = expiring(LONG, candles=2)

    assert outcome(short_lived, QUIET, QUIET, (100.2, 100.3, 100.0, 100.1)) == (ExitReason.TIME_EXIT, pytest.approx(100.2 * 0.9999), 2)


def test_match_trade_given_the_next_candle_is_not_there_yet_then_is_open() -> None:
    assert matched(expiring(LONG, candles=1), QUIET) is None


def test_match_trade_given_funding_while_held_then_a_long_pays_on_the_value_there() -> None:
    rows = [QUIET, QUIET, (101.0, 101.1, 100.9, 101.0), (101.0, 103.5, 100.9, 103.0)]
    funding = funding_frame([FIRST, FIRST + 2 * CANDLE], [0.01, 0.001])

    found = match_trade(arrays(candle_frame(rows), funding), LONG, costs=COSTS, candle_us=CANDLE_US)

    assert found is not None
    assert found.funding_ratio == pytest.approx(-0.001 * 1.01)


@pytest.mark.parametrize("entry", [-1, 1, 5])
def test_match_trade_given_an_entry_outside_the_candles_then_refuses(entry: int) -> None:
    with pytest.raises(InvalidTradeError, match="outside"):
        matched(replace(LONG, entry=entry), QUIET)


@pytest.mark.parametrize(("path", "high"), [(LONG, 103.0), (SHORT, 102.0)])
def test_match_trade_given_an_exit_at_market_then_pays_the_taker_fee(path: OpenPath, high: float) -> None:
    found = matched(path, (100.0, high, 99.0, 100.0))

    assert found is not None
    assert found.fee == COSTS.taker_fee


@pytest.mark.parametrize(
    ("leverage", "is_short", "expected"),
    [(1.0, False, (0.0, 0.0)), (5.0, False, (100.0 * (1.0 - 0.19 / 0.99), 80.0)), (5.0, True, (100.0 * (1.0 + 0.19 / 1.01), 120.0))],
)
def test_margin_rates_given_a_leverage_then_are_liquidation_and_bankruptcy(
    leverage: float, is_short: bool, expected: tuple[float, float]
) -> None:
    rates = margin_rates(open_rate=100.0, is_short=is_short, leverage=leverage, maintenance_margin_ratio=0.01)

    assert rates == pytest.approx(expected)


@given(seed=st.integers(0, 10_000), is_short=st.booleans())
def test_match_trade_given_random_candles_then_extremes_hold_every_rate_seen(seed: int, is_short: bool) -> None:
    candles = arrays(random_candles(seed, candles=60))
    path = expiring(SHORT if is_short else LONG, candles=50)

    found = match_trade(candles, path, costs=COSTS, candle_us=CANDLE_US)

    assert found is not None
    assert found.min_rate <= min(found.close_rate, path.open_rate)
    assert found.max_rate >= max(found.close_rate, path.open_rate)
    assert found.min_rate <= float(candles.low[: found.index].min(initial=path.open_rate))


@given(seed=st.integers(0, 10_000), later=st.integers(61, 90))
def test_match_trade_given_more_candles_then_the_exit_stays_the_same(seed: int, later: int) -> None:
    frame = random_candles(seed, candles=90)
    first = match_trade(arrays(frame.iloc[:60]), LONG, costs=COSTS, candle_us=CANDLE_US)

    if first is not None:
        assert match_trade(arrays(frame.iloc[:later]), LONG, costs=COSTS, candle_us=CANDLE_US) == first


def test_match_trade_given_the_activation_reached_then_the_stop_is_at_break_even_from_the_next_open_on() -> None:
    rows = [(100.0, 101.2, 99.5, 100.5), (100.5, 100.6, 100.0, 100.2)]

    assert outcome(moving(LONG), *rows) == (ExitReason.STOP_LOSS, pytest.approx(100.14 * 0.9996), 1)
    assert matched(LONG, *rows) is None


def test_match_trade_given_a_short_with_the_activation_reached_then_its_stop_moves_down() -> None:
    rows = [(100.0, 100.5, 98.8, 99.5), (99.5, 100.0, 99.4, 99.8)]

    assert outcome(moving(SHORT), *rows) == (ExitReason.STOP_LOSS, pytest.approx(99.86 * 1.0004), 1)


def test_match_trade_given_an_open_at_or_below_break_even_then_the_stop_moves_at_the_first_open_beyond_it() -> None:
    rows = [(100.0, 101.2, 99.5, 100.0), (100.14, 100.3, 99.0, 100.2), (100.2, 100.4, 100.0, 100.3)]

    assert outcome(moving(LONG), *rows) == (ExitReason.STOP_LOSS, pytest.approx(100.14 * 0.9996), 2)


def test_match_trade_given_the_activation_reached_and_the_stop_touched_in_one_candle_then_the_old_stop_fills() -> None:
    assert outcome(moving(LONG), QUIET, (100.0, 101.5, 97.0, 99.0)) == (ExitReason.STOP_LOSS, pytest.approx(98.0 * 0.9996), 1)


def test_match_trade_given_a_gap_beyond_the_moved_stop_then_fills_at_the_open() -> None:
    rows = [(100.0, 101.2, 99.5, 100.5), (100.5, 100.6, 100.3, 100.4), (99.0, 99.5, 98.5, 99.2)]

    assert outcome(moving(LONG), *rows) == (ExitReason.STOP_LOSS, pytest.approx(99.0 * 0.9996), 2)


@given(seed=st.integers(0, 10_000), is_short=st.booleans())
def test_match_trade_given_a_break_even_stop_then_loses_no_more_than_without_it(seed: int, is_short: bool) -> None:
    candles = arrays(random_candles(seed, candles=60))
    path = expiring(SHORT if is_short else LONG, candles=50)

    with_rule = match_trade(candles, moving(path), costs=COSTS, candle_us=CANDLE_US)
    without = match_trade(candles, path, costs=COSTS, candle_us=CANDLE_US)

    assert with_rule is not None
    assert without is not None
    assert with_rule.index <= without.index
    assert replace(with_rule, stop_rate=without.stop_rate) == without or with_rule.reason is ExitReason.STOP_LOSS
    assert without.stop_rate == path.stop_rate
    assert with_rule.stop_rate in {path.stop_rate, moving(path).break_even_rate}
