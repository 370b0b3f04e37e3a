"""Candles in memory, by span and by instant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot3.errors import CandleError
from bot3.market.candle_series import CandleSeries, funding_between, no_candles, no_funding
from bot3.market.candles import CANDLE_COLUMNS, FUNDING_COLUMNS
from tests.markets import CANDLE, FIRST, candle_frame, funding_frame

FRAME = candle_frame([(float(n), n + 0.5, n - 0.5, n + 0.25) for n in range(1, 6)])
SERIES = CandleSeries(FRAME, pair="BTC/USDT", timeframe="5m")
TICK = timedelta(microseconds=1)


def test_span_given_candles_then_is_from_the_first_open_to_the_last_close() -> None:
    assert (len(SERIES), SERIES.span) == (5, (FIRST, FIRST + 5 * CANDLE))


def test_span_given_no_candle_then_is_refused() -> None:
    with pytest.raises(CandleError, match="no 5m candle of BTC/USDT"):
        _ = CandleSeries(no_candles(), pair="BTC/USDT", timeframe="5m").span


@pytest.mark.parametrize(
    ("start", "end", "opens"),
    [
        (FIRST, FIRST + 5 * CANDLE, [1.0, 2.0, 3.0, 4.0, 5.0]),
        (FIRST + TICK, FIRST + 5 * CANDLE - TICK, [2.0, 3.0, 4.0]),
        (FIRST + CANDLE, FIRST + 2 * CANDLE, [2.0]),
        (FIRST + CANDLE, FIRST + CANDLE, []),
        (FIRST + 4 * CANDLE, FIRST, []),
        (FIRST - CANDLE, FIRST + 9 * CANDLE, [1.0, 2.0, 3.0, 4.0, 5.0]),
    ],
)
def test_between_given_a_span_then_are_the_candles_that_open_and_close_inside(start: object, end: object, opens: list[float]) -> None:
    found = SERIES.between(start=start, end=end)

    assert found["open"].tolist() == opens
    assert found.index.tolist() == list(range(len(opens)))


@pytest.mark.parametrize(
    ("after", "rate"),
    [
        (timedelta(0), 1.0),
        (CANDLE - TICK, 1.0),
        (CANDLE, 2.0),
        (5 * CANDLE - TICK, 5.0),
        (5 * CANDLE, 5.25),
        (7 * CANDLE, 5.25),
    ],
)
def test_rate_at_given_an_instant_then_is_the_open_in_progress_or_the_last_close(after: timedelta, rate: float) -> None:
    assert SERIES.rate_at(FIRST + after) == rate


@pytest.mark.parametrize(("after", "message"), [(-TICK, "is known by"), (7 * CANDLE + TICK, "too old")])
def test_rate_at_given_no_candle_or_an_old_one_then_is_refused(after: timedelta, message: str) -> None:
    with pytest.raises(CandleError, match=message):
        SERIES.rate_at(FIRST + after)


def test_funding_between_given_a_span_then_its_start_is_in_and_its_end_is_not() -> None:
    funding = funding_frame([FIRST, FIRST + CANDLE, FIRST + 2 * CANDLE], [1e-4, 2e-4, 3e-4])

    assert funding_between(funding, start=FIRST, end=FIRST + 2 * CANDLE)["funding_rate"].tolist() == [1e-4, 2e-4]
    assert funding_between(funding, start=FIRST + TICK, end=FIRST + 9 * CANDLE)["funding_rate"].tolist() == [2e-4, 3e-4]
    assert len(funding_between(funding, start=FIRST + CANDLE, end=FIRST)) == 0


def test_empty_frames_have_the_columns_of_full_ones() -> None:
    assert list(no_candles().columns) == list(CANDLE_COLUMNS)
    assert list(no_funding().columns) == list(FUNDING_COLUMNS)
    assert no_candles()["open_time"].dtype == no_funding()["time"].dtype == FRAME["open_time"].dtype
