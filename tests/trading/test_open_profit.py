"""Open profit and funding at each close."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.market.instants import instant_us
from bot3.trading.open_profit import OpenProfits
from tests.markets import CANDLE, FIRST, arrays, candle_frame, funding_frame

CANDLE_US = CANDLE // timedelta(microseconds=1)
FIRST_US = instant_us(FIRST)
ROWS = [(100.0, 101.0, 99.0, 100.5), (101.0, 102.0, 100.0, 101.5), (103.0, 104.0, 102.0, 103.5), (102.0, 103.0, 101.0, 104.0)]


def candles_of(*, without: int | None = None, funding: pd.DataFrame | None = None) -> CandleArrays:
    frame = candle_frame(ROWS)
    return arrays(frame if without is None else frame.drop(index=without).reset_index(drop=True), funding)


def profits_of(candles: CandleArrays, *, is_short: bool = False, until: int | None = None, first: int = 1, count: int = 4) -> OpenProfits:
    """Return the profits of 2 units from the open of the first candle on, at closes from number `first` on."""
    profits = OpenProfits(first_us=FIRST_US + first * CANDLE_US, count=count, candle_us=CANDLE_US)
    until_us = None if until is None else FIRST_US + until * CANDLE_US
    profits.add(candles, entry=0, until_us=until_us, is_short=is_short, amount=2.0, open_rate=100.0)
    return profits


@pytest.mark.parametrize(("is_short", "expected"), [(False, [2.0, 6.0, 4.0, 8.0]), (True, [-2.0, -6.0, -4.0, -8.0])])
def test_profit_given_a_position_then_is_valued_at_the_next_open_and_at_the_end_at_the_last_close(
    is_short: bool, expected: list[float]
) -> None:
    assert profits_of(candles_of(), is_short=is_short).profit.tolist() == pytest.approx(expected)


def test_profit_given_an_end_then_has_none_from_there_on() -> None:
    assert profits_of(candles_of(), until=3).profit.tolist() == pytest.approx([2.0, 6.0, 0.0, 0.0])


def test_profit_given_a_gap_then_is_valued_at_the_last_close_until_the_next_candle() -> None:
    assert profits_of(candles_of(without=2)).profit.tolist() == pytest.approx([2.0, 3.0, 4.0, 8.0])


def test_profit_given_a_span_that_begins_later_or_ends_earlier_then_has_its_part() -> None:
    assert profits_of(candles_of(), first=2, count=2).profit.tolist() == pytest.approx([6.0, 4.0])


def test_funding_given_a_long_then_is_paid_from_the_open_at_which_it_is_due() -> None:
    funding = funding_frame([FIRST, FIRST + 2 * CANDLE, FIRST + 3 * CANDLE], [0.5, 0.01, -0.02])

    long, short = (profits_of(candles_of(funding=funding), is_short=is_short) for is_short in (False, True))

    # 2 units at 103 pay 1 % at the second close and receive 2 % at 102 at the third.
    assert long.funding.tolist() == pytest.approx([0.0, -2.06, 2.02, 2.02])
    assert short.funding.tolist() == pytest.approx([0.0, 2.06, -2.02, -2.02])
    assert long.profit.tolist() == pytest.approx([2.0, 3.94, 6.02, 10.02])
    assert profits_of(candles_of(funding=funding), first=3, count=1).funding.tolist() == pytest.approx([2.02])


def test_positions_given_two_then_are_added() -> None:
    profits = profits_of(candles_of())
    profits.add(candles_of(), entry=2, until_us=None, is_short=True, amount=1.0, open_rate=103.0)

    assert profits.profit.tolist() == pytest.approx([2.0, 6.0, 4.0 + 1.0, 8.0 - 1.0])


def test_at_given_an_instant_then_is_the_newest_close_until_then() -> None:
    profits = profits_of(candles_of())

    assert profits.at(FIRST_US + 2 * CANDLE_US) == (6.0, 0.0)
    assert profits.at(FIRST_US + 3 * CANDLE_US - 1) == (6.0, 0.0)
