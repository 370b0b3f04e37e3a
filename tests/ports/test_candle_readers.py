"""One suite for every `CandleReader`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.files.candle_format import write_candles, write_funding
from bot3.adapters.files.candles import FileCandles
from bot3.adapters.files.currency_candles import CurrencyCandles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import CandleError
from bot3.market.candles import CANDLE_COLUMNS, FUNDING_COLUMNS, checked_candles
from bot3.ports.candles import CandleReader

START = datetime(2025, 1, 6, tzinfo=UTC)
END = START + timedelta(days=10)
STEP = timedelta(minutes=5)
PAIR = "BRAVO/USDT:USDT"


def simulated() -> SimulatedMarket:
    return SimulatedMarket(11, starts_at=START, ends_at=END, pairs=2)


@pytest.fixture(scope="module", params=["simulated", "file", "currency"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CandleReader:
    market = simulated()
    if request.param == "simulated":
        return market
    directory = tmp_path_factory.mktemp("data")
    for pair in market.pairs():
        write_candles(directory, pair=pair, timeframe="5m", candles=market.candles(pair, "5m", start=START, end=END))
        write_funding(directory, pair=pair, funding=market.funding(pair, start=START, end=END))
    files = FileCandles(directory, wall_now=lambda: END)
    return CurrencyCandles(files, currency="USDT") if request.param == "currency" else files


def test_pairs_are_sorted_ccxt_symbols(reader: CandleReader) -> None:
    assert reader.pairs() == ("ALFA/USDT:USDT", PAIR)


def test_timeframes_given_a_pair_then_those_with_candles_and_given_an_unknown_one_then_none(reader: CandleReader) -> None:
    assert reader.timeframes(PAIR) == ("5m",)
    assert reader.timeframes("NONE/USDT:USDT") == ()


def test_span_given_a_pair_then_first_open_and_last_close(reader: CandleReader) -> None:
    assert reader.span(PAIR, "5m") == (START, END)


def test_candles_given_the_whole_span_then_a_lawful_frame(reader: CandleReader) -> None:
    candles = reader.candles(PAIR, "5m", start=START, end=END)

    same, report = checked_candles(candles, pair=PAIR, timeframe="5m", now=END)
    pd.testing.assert_frame_equal(candles, same)
    assert not set(report.findings()) & {"duplicates", "unclosed", "reordered", "off_grid"}
    assert tuple(candles.columns) == CANDLE_COLUMNS


def test_readers_agree_candle_by_candle(reader: CandleReader) -> None:
    expected = simulated().candles(PAIR, "5m", start=START, end=END)

    pd.testing.assert_frame_equal(reader.candles(PAIR, "5m", start=START, end=END), expected)


@settings(max_examples=60, deadline=None)
@given(first=st.integers(-500, 15_500), length=st.integers(-20, 3_000))
def test_candles_given_any_span_then_exactly_those_that_open_in_it_and_are_closed(reader: CandleReader, first: int, length: int) -> None:
    start, end = START + timedelta(minutes=first), START + timedelta(minutes=first + length)
    everything = reader.candles(PAIR, "5m", start=START, end=END)

    candles = reader.candles(PAIR, "5m", start=start, end=end)

    inside = (everything["open_time"] >= start) & (everything["open_time"] + STEP <= end)
    pd.testing.assert_frame_equal(candles, everything[inside].reset_index(drop=True))


def test_candles_given_a_span_without_any_then_an_empty_frame_of_the_same_types(reader: CandleReader) -> None:
    candles = reader.candles(PAIR, "5m", start=START - timedelta(days=2), end=START)

    assert len(candles) == 0
    assert candles.dtypes.equals(reader.candles(PAIR, "5m", start=START, end=END).dtypes)


def test_candles_given_a_caller_that_writes_to_them_then_the_reader_keeps_its_own(reader: CandleReader) -> None:
    candles = reader.candles(PAIR, "5m", start=START, end=END)
    kept = candles.copy()

    candles.loc[:, "close"] = 0.0

    pd.testing.assert_frame_equal(reader.candles(PAIR, "5m", start=START, end=END), kept)


@pytest.mark.parametrize(("pair", "timeframe"), [("NONE/USDT:USDT", "5m"), (PAIR, "7m")])
def test_reader_given_what_it_does_not_hold_then_a_candle_error(reader: CandleReader, pair: str, timeframe: str) -> None:
    with pytest.raises(CandleError):
        reader.candles(pair, timeframe, start=START, end=END)
    with pytest.raises(CandleError):
        reader.span(pair, timeframe)
    with pytest.raises(CandleError):
        reader.rate_at(pair, timeframe, START + STEP)


def test_reader_given_a_time_without_zone_then_a_candle_error(reader: CandleReader) -> None:
    with pytest.raises(CandleError, match="no time zone"):
        reader.candles(PAIR, "5m", start=START.replace(tzinfo=None), end=END)


def test_rate_given_a_candle_in_progress_then_its_open(reader: CandleReader) -> None:
    candles = reader.candles(PAIR, "5m", start=START, end=END)
    at = candles["open_time"].iloc[100].to_pydatetime()

    rates = {reader.rate_at(PAIR, "5m", at + timedelta(seconds=second)) for second in (0, 1, 299)}

    assert rates == {candles["open"].iloc[100]}


def test_rate_given_a_time_just_after_the_end_then_the_last_close(reader: CandleReader) -> None:
    last = reader.candles(PAIR, "5m", start=START, end=END)["close"].iloc[-1]

    assert reader.rate_at(PAIR, "5m", END) == last
    assert reader.rate_at(PAIR, "5m", END + 2 * STEP) == last


@pytest.mark.parametrize("at", [END + timedelta(minutes=11), END + timedelta(days=3), START - timedelta(seconds=1)])
def test_rate_given_no_candle_near_then_a_candle_error(reader: CandleReader, at: datetime) -> None:
    with pytest.raises(CandleError):
        reader.rate_at(PAIR, "5m", at)


def test_funding_given_a_span_then_its_start_is_in_and_its_end_out(reader: CandleReader) -> None:
    funding = reader.funding(PAIR, start=START, end=START + timedelta(hours=16))

    assert tuple(funding.columns) == FUNDING_COLUMNS
    assert list(funding["time"]) == [pd.Timestamp(START), pd.Timestamp(START + timedelta(hours=8))]
    assert str(funding["time"].dtype) == "datetime64[us, UTC]"
