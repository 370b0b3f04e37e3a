from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import CandleError
from bot3.market.candles import CANDLE_COLUMNS, CandleReport, checked_candles, checked_funding, spiked

START = datetime(2025, 1, 6, tzinfo=UTC)
NOW = START + timedelta(days=30)


def some_candles(count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.standard_normal(count) * 0.002))
    opened = np.concatenate([[100.0], close])[:count]
    return pd.DataFrame(
        {
            "open_time": pd.date_range(START, periods=count, freq="5min", unit="us"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": rng.uniform(1.0, 9.0, count),
        }
    )


def gate(frame: pd.DataFrame, *, timeframe: str = "5m", now: datetime = NOW) -> tuple[pd.DataFrame, CandleReport]:
    return checked_candles(frame, pair="A/USDT:USDT", timeframe=timeframe, now=now)


def assert_lawful(candles: pd.DataFrame) -> None:
    assert list(candles.columns) == list(CANDLE_COLUMNS)
    assert str(candles["open_time"].dtype) == "datetime64[us, UTC]"
    assert all(candles[name].dtype == np.float64 for name in CANDLE_COLUMNS[1:])
    assert candles.index.equals(pd.RangeIndex(len(candles)))
    assert (candles["open_time"].diff().dropna() >= pd.Timedelta(minutes=5)).all()
    assert (candles["open_time"].dt.as_unit("us").astype("int64") % 300_000_000 == 0).all()
    assert (candles["high"] >= candles[["open", "close"]].max(axis=1)).all()
    assert (candles["low"] <= candles[["open", "close"]].min(axis=1)).all()
    assert (candles["low"] > 0.0).all()
    assert np.isfinite(candles[list(CANDLE_COLUMNS[1:])].to_numpy()).all()
    assert (candles["volume"] >= 0.0).all()


def test_gate_given_lawful_candles_then_returns_them_with_nothing_found() -> None:
    candles, report = gate(some_candles())

    pd.testing.assert_frame_equal(candles, some_candles())
    assert report.findings() == {}


def test_gate_given_seconds_and_milliseconds_mixed_and_descending_then_repairs_and_counts() -> None:
    frame = some_candles()
    stamps = frame["open_time"].astype("int64") // 1_000_000
    mixed = np.where(np.arange(60) < 10, stamps * 1_000, stamps)

    candles, report = gate(frame.assign(open_time=mixed).iloc[::-1])

    pd.testing.assert_frame_equal(candles, some_candles())
    assert report.findings() == {"reordered": 59, "mixed_units": 10}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_gate_given_numbers_in_any_unit_then_reads_the_same_times(unit: Any) -> None:
    frame = some_candles()
    numbers = frame["open_time"].dt.as_unit(unit).astype("int64")

    candles, _ = gate(frame.drop(columns="open_time").assign(unix=numbers))

    pd.testing.assert_series_equal(candles["open_time"], frame["open_time"])


def test_gate_given_iso_text_in_utc_then_reads_it() -> None:
    frame = some_candles()
    texts = frame["open_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")

    candles, _ = gate(frame.assign(open_time=texts))

    pd.testing.assert_frame_equal(candles, frame)


def test_gate_given_identical_duplicates_then_collapses_and_counts() -> None:
    frame = some_candles()

    candles, report = gate(pd.concat([frame, frame.iloc[3:8]]))

    pd.testing.assert_frame_equal(candles, frame)
    assert (report.duplicates, report.conflicting) == (5, 0)


def test_gate_given_a_candle_twice_that_differs_then_keeps_the_larger_volume_and_says_so() -> None:
    frame = some_candles()
    unfinished = frame.iloc[[7]].assign(volume=0.5, close=lambda found: found["open"])

    candles, report = gate(pd.concat([unfinished, frame, unfinished]))

    pd.testing.assert_frame_equal(candles, frame)
    assert (report.duplicates, report.conflicting) == (2, 2)


def test_gate_given_a_gap_then_lists_it_and_invents_nothing() -> None:
    frame = some_candles().drop(index=range(20, 23))

    candles, report = gate(frame)

    assert len(candles) == 57
    assert (report.gaps_count, report.missing_candles) == (1, 3)
    assert report.gaps == ((START + timedelta(minutes=100), START + timedelta(minutes=115)),)


def test_gate_given_a_candle_in_progress_then_drops_and_counts_it() -> None:
    candles, report = gate(some_candles(), now=START + timedelta(minutes=299))

    assert len(candles) == 59
    assert report.unclosed == 1


def test_gate_given_a_candle_that_closes_now_then_keeps_it() -> None:
    _, report = gate(some_candles(), now=START + timedelta(minutes=300))

    assert report.unclosed == 0


def test_gate_given_a_large_print_then_reports_and_keeps_it() -> None:
    frame = some_candles()
    frame.loc[40, "high"] = 300.0

    candles, report = gate(frame)

    assert report.spikes == 1
    assert candles["high"].iloc[40] == 300.0


def test_spiked_looks_back_only() -> None:
    frame = some_candles(200)
    frame.loc[150, "high"] = 300.0

    assert np.array_equal(spiked(frame.iloc[:120]), spiked(frame)[:120])


def test_gate_given_an_outage_written_flat_then_reports_and_keeps_it() -> None:
    frame = some_candles()
    price = frame["close"].iloc[29]
    frame.loc[30:32, ["open", "high", "low", "close", "volume"]] = [price, price, price, price, 0.0]
    frame.loc[33, "open"] = price
    frame.loc[33, "high"], frame.loc[33, "low"] = frame.loc[33, ["open", "close"]].max(), frame.loc[33, ["open", "close"]].min()

    candles, report = gate(frame)

    assert (len(candles), report.flat, report.gaps_count) == (60, 3, 0)


def test_gate_given_one_row_off_the_grid_among_many_then_drops_and_counts_it() -> None:
    frame = some_candles(300)
    frame.loc[5, "open_time"] += timedelta(seconds=7)

    candles, report = gate(frame)

    assert (len(candles), report.off_grid, report.missing_candles) == (299, 1, 1)


def _nan(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(close=frame["close"].where(frame.index != 7))


REFUSED = {
    "column volume is missing": lambda frame: frame.drop(columns="volume"),
    "the column with the open time is missing": lambda frame: frame.drop(columns="open_time"),
    "have no time zone": lambda frame: frame.assign(open_time=frame["open_time"].dt.tz_localize(None)),
    "not in UTC": lambda frame: frame.assign(open_time=frame["open_time"].dt.tz_convert("Europe/Berlin")),
    "write it in UTC": lambda frame: frame.assign(open_time=frame["open_time"].dt.strftime("%Y-%m-%d %H:%M")),
    "row 7 has no number as close": _nan,
    "a time after February 1973": lambda frame: frame.assign(open_time=range(len(frame))),
    "prices must be above 0": lambda frame: frame.assign(low=0.0),
    "must enclose open and close": lambda frame: frame.rename(columns={"high": "close", "close": "high"}),
    "volume must not be below 0": lambda frame: frame.assign(volume=-1.0),
    "more than once": lambda frame: pd.concat([frame, frame[["close"]]], axis=1),
    "check the timeframe": lambda frame: frame.assign(open_time=frame["open_time"] + pd.Timedelta(minutes=1)),
    "0:15:00 apart": lambda frame: frame.assign(open_time=START + pd.Series(range(len(frame))) * pd.Timedelta(minutes=15)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_gate_given_what_cannot_be_repaired_then_a_clear_error(message: str) -> None:
    with pytest.raises(CandleError, match=message) as caught:
        gate(REFUSED[message](some_candles()))

    assert "A/USDT:USDT 5m" in str(caught.value)


def test_gate_given_an_empty_frame_then_an_empty_candle_frame() -> None:
    candles, report = gate(some_candles(0))

    assert_lawful(candles)
    assert report.rows_out == 0


cells = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70),
    st.text(max_size=8),
    st.none(),
    st.booleans(),
    st.datetimes(),
    st.binary(max_size=4),
    st.just(pd.NaT),
    st.complex_numbers(),
    st.just([1.0]),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_gate_given_any_mutation_then_a_verdict_or_a_candle_error(data: st.DataObject) -> None:
    frame = some_candles(data.draw(st.integers(0, 30)))
    for _ in range(data.draw(st.integers(0, 4))):
        name = data.draw(st.sampled_from([*CANDLE_COLUMNS, "date", "unix"]))
        column = frame[name].astype(object).tolist() if name in frame.columns else [None] * len(frame)
        if len(frame):
            column[data.draw(st.integers(0, len(frame) - 1))] = data.draw(cells)
        frame[name] = pd.Series(column, dtype=object)
    order = data.draw(st.lists(st.integers(0, max(len(frame) - 1, 0)), max_size=40)) if len(frame) else []
    frame = frame.iloc[order] if data.draw(st.booleans()) else frame.infer_objects()
    frame = frame.drop(columns=data.draw(st.lists(st.sampled_from(list(frame.columns)), max_size=1)))

    try:
        candles, report = gate(frame)
    except CandleError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, another exception is not
    else:
        assert_lawful(candles)
        assert report.rows_in == report.rows_out + report.duplicates + report.unclosed + report.off_grid


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=8))
def test_gate_given_any_order_and_repetition_then_the_same_candles(order: list[int], repeated: list[int]) -> None:
    frame = some_candles(12)

    candles, report = gate(frame.iloc[[*order, *repeated]])

    pd.testing.assert_frame_equal(candles, frame)
    assert report.duplicates == len(repeated)


def test_gate_passed_twice_changes_nothing() -> None:
    once, _ = gate(pd.concat([some_candles(), some_candles().iloc[5:9]]).iloc[::-1])

    twice, report = gate(once)

    pd.testing.assert_frame_equal(once, twice)
    assert report.findings() == {}


def test_funding_given_late_stamps_and_duplicates_then_whole_seconds_once() -> None:
    times = pd.to_datetime([START + timedelta(milliseconds=4), START + timedelta(hours=8), START + timedelta(hours=8)], utc=True)

    funding = checked_funding(pd.DataFrame({"date": times, "funding_rate": [0.0001, 0.5, 0.0002]}), pair="A/USDT:USDT")

    assert list(funding["time"]) == [pd.Timestamp(START), pd.Timestamp(START + timedelta(hours=8))]
    assert list(funding["funding_rate"]) == [0.0001, 0.0002]


def test_funding_given_a_rate_in_percent_then_a_clear_error() -> None:
    frame = pd.DataFrame({"date": pd.to_datetime([START], utc=True), "funding_rate": [1.0]})

    with pytest.raises(CandleError, match="rates are ratios"):
        checked_funding(frame, pair="A/USDT:USDT")
