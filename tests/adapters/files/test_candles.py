from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.clocks.system import SystemClock
from bot3.adapters.files.candle_format import write_candles, write_funding
from bot3.adapters.files.candle_inspection import inspect_files
from bot3.adapters.files.candle_names import CandleFile, IgnoredFile, candle_file, candle_path
from bot3.adapters.files.candles import FileCandles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import CandleError

START = datetime(2025, 1, 6, tzinfo=UTC)
END = START + timedelta(days=2)
NOW = END + timedelta(days=400)
PAIR = "ALFA/USDT:USDT"


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    return SimulatedMarket(5, starts_at=START, ends_at=END, pairs=1).candles(PAIR, "5m", start=START, end=END)


def read(directory: Path, pair: str = PAIR, timeframe: str = "5m") -> pd.DataFrame:
    return FileCandles(directory, timeframe=timeframe, wall_now=lambda: NOW).candles(pair, timeframe, start=START, end=NOW)


def _feather(path: Path, frame: pd.DataFrame) -> None:
    frame.astype({"date": "datetime64[ms, UTC]"}).to_feather(path)


def _json(path: Path, frame: pd.DataFrame) -> None:
    path.write_text(_rows(frame))


def _json_gz(path: Path, frame: pd.DataFrame) -> None:
    path.write_bytes(gzip.compress(_rows(frame).encode()))


def _rows(frame: pd.DataFrame) -> str:
    stamps = frame["date"].dt.as_unit("ms").astype("int64")
    return json.dumps(frame.assign(date=stamps).to_numpy().tolist())


def _parquet(path: Path, frame: pd.DataFrame) -> None:
    frame.rename(columns={"date": "open_time"}).to_parquet(path)


def _csv_seconds(path: Path, frame: pd.DataFrame) -> None:
    stamps = frame["date"].dt.as_unit("s").astype("int64")
    frame.assign(date=stamps).rename(columns={"date": "Timestamp", "volume": "Volume ALFA"}).to_csv(path, index=False)


def _csv_iso(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S+00:00")


LAYOUTS: dict[str, Callable[[Path, pd.DataFrame], None]] = {
    "ALFA_USDT_USDT-5m-futures.feather": _feather,
    "ALFA_USDT_USDT-5m-futures.json": _json,
    "ALFA_USDT_USDT-5m-futures.json.gz": _json_gz,
    "ALFA_USDT_USDT-5m-futures.parquet": _parquet,
    "ALFA_USDT_USDT-5m.csv": _csv_seconds,
    "ALFA_USDT_USDT-5m.csv.gz": _csv_iso,
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("folder", ["", "futures"])
def test_files_given_any_layout_then_the_same_candles(tmp_path: Path, candles: pd.DataFrame, name: str, folder: str) -> None:
    path = tmp_path / folder / name
    path.parent.mkdir(exist_ok=True)
    LAYOUTS[name](path, candles.rename(columns={"open_time": "date"}))

    pd.testing.assert_frame_equal(read(tmp_path), candles, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "pair", "kind"),
    [
        ("BTC_USDT_USDT-5m-futures.feather", "BTC/USDT:USDT", "candles"),
        ("1000SHIB_USDT_USDT-1h-futures.feather", "1000SHIB/USDT:USDT", "candles"),
        ("BTC_USDT-5m.feather", "BTC/USDT", "candles"),
        ("BTC_USDT_USDT-1h-mark.feather", "BTC/USDT:USDT", "other"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "BTC/USDT:USDT", "funding_rate"),
        ("BTC_USD_BTC-15m-futures.json.gz", "BTC/USD:BTC", "candles"),
        ("BTC_USDT-5m-spot.csv", "BTC/USDT", "candles"),
        ("BTC_USDT_USDT-5m.csv", "BTC/USDT:USDT", "candles"),
        ("\u5e01\u5b89\u4eba\u751f_USDT_USDT-5m-futures.feather", "\u5e01\u5b89\u4eba\u751f/USDT:USDT", "candles"),
        ("XYZ-TSLA_USDC_USDC-5m-futures.feather", "XYZ-TSLA/USDC:USDC", "candles"),
        ("BTC_USDT_USDT-260327-5m-futures.feather", "BTC/USDT:USDT-260327", "candles"),
        ("BTC_USDT_USDT-260327-5m.feather", "BTC/USDT:USDT-260327", "candles"),
        ("_PAAL_USDT_USDT-5m-futures.feather", "_PAAL/USDT:USDT", "candles"),
        ("_PAAL_USDT-5m.feather", "_PAAL/USDT", "candles"),
    ],
)
def test_name_of_a_file_says_what_is_in_it(name: str, pair: str, kind: str) -> None:
    found = candle_file(Path(name))

    assert isinstance(found, CandleFile)
    assert (found.pair, found.kind) == (pair, kind)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("README.md", "its name does not end in .feather"),
        ("BTC_USDT_USDT-5m-futures.feather.tmp", "its name does not end in .feather"),
        ("BTC_USDT_USDT-5m-futures.h5", "freqtrade convert-data --format-from hdf5 --format-to feather"),
        ("BTC_USDT-trades.feather", "it is not named PAIR-TIMEFRAME"),
        ("BTC_USDT_USDT-5m-open_interest.feather", "it is not named PAIR-TIMEFRAME"),
        ("BTCUSDT-5m.feather", "the pair in its name lacks a part"),
        ("_USDT-5m.feather", "the pair in its name lacks a part"),
        ("BTC_USDT-5m-futures.feather", "a future is named BASE_QUOTE_SETTLE-5m-futures"),
        ("BTC_USDT_USDT-1w-futures.feather", "its timeframe 1w is not supported"),
        ("BTC_USDT_USDT-1Mo-futures.feather", "its timeframe 1Mo is not supported"),
        ("BTC_USDT_USDT-0m-futures.feather", "its timeframe 0m is not supported"),
    ],
)
def test_name_that_says_nothing_is_ignored_with_its_reason(name: str, reason: str) -> None:
    found = candle_file(Path(name))

    assert isinstance(found, IgnoredFile)
    assert reason in found.reason


_PLAIN = st.text(st.characters(categories=["L", "Nd"], include_characters="-"), min_size=1, max_size=8).filter(lambda text: text.strip("-"))
_ODD = st.text(st.characters(categories=["L", "Nd", "S", "Po", "Zs"], exclude_characters="/:"), min_size=1, max_size=8)
_TIMEFRAMES = st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"])
_CURRENCIES = st.sampled_from(["USDT", "USDC", "BTC", "EUR"])


def _pairs(base: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spot = st.builds("{}/{}".format, base, _CURRENCIES)
    future = st.builds("{0}/{1}:{1}".format, base, _CURRENCIES)
    return spot | future | st.builds("{0}/{1}:{1}-260327".format, base, _CURRENCIES)


@given(pair=_pairs(_PLAIN), timeframe=_TIMEFRAMES, is_funding=st.booleans())
def test_path_of_a_plain_pair_leads_back_to_it(pair: str, timeframe: str, is_funding: bool) -> None:
    found = candle_file(candle_path(Path("data"), pair=pair, timeframe=timeframe, is_funding=is_funding))

    assert isinstance(found, CandleFile)
    assert (found.pair, found.timeframe) == (pair, timeframe)
    assert found.kind == ("funding_rate" if is_funding and ":" in pair else "candles")


@given(pair=_pairs(_ODD), other=_pairs(_ODD), timeframe=_TIMEFRAMES)
def test_path_of_any_pair_is_read_as_that_pairs_and_never_as_one_of_another_market(pair: str, other: str, timeframe: str) -> None:
    found = candle_file(candle_path(Path("data"), pair=pair, timeframe=timeframe))

    assert isinstance(found, CandleFile)
    assert found.holds(pair)
    assert (
        (":" in pair) == (":" in other) or found.name != candle_path(Path(), pair=other, timeframe=timeframe).name or not found.holds(other)
    )


@pytest.mark.parametrize("pair", ["$PAAL/USDT:USDT", "A.B/USDT", "\u5e01\u5b89\u4eba\u751f/USDT:USDT", "BTC/USDT:USDT-260327", "X Y/USDT"])
def test_reader_given_what_the_writer_wrote_then_reads_it_under_the_pairs_own_name(
    tmp_path: Path, candles: pd.DataFrame, pair: str
) -> None:
    write_candles(tmp_path, pair=pair, timeframe="5m", candles=candles)

    pd.testing.assert_frame_equal(read(tmp_path, pair), candles)


def test_reader_given_spot_and_a_future_then_they_are_two_pairs(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair="ALFA/USDT", timeframe="5m", candles=candles.iloc[:100])
    candles.iloc[50:].rename(columns={"open_time": "date"}).reset_index(drop=True).to_feather(tmp_path / "ALFA_USDT-5m-futures.feather")
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)

    reader = FileCandles(tmp_path, wall_now=lambda: NOW)

    assert reader.pairs() == ("ALFA/USDT", PAIR)
    assert [len(reader.candles(pair, "5m", start=START, end=NOW)) for pair in reader.pairs()] == [100, len(candles)]
    assert [file.path.name for file in reader.ignored] == ["ALFA_USDT-5m-futures.feather"]


@pytest.mark.parametrize(("held", "sought"), [(PAIR, "ALFA/USDT"), ("ALFA/USDT", PAIR), ("ALFA/USDT:USDT-260327", PAIR)])
def test_reader_given_another_market_of_the_pair_then_says_what_it_holds(
    tmp_path: Path, candles: pd.DataFrame, held: str, sought: str
) -> None:
    write_candles(tmp_path, pair=held, timeframe="5m", candles=candles)

    with pytest.raises(CandleError, match=rf"no 5m candles of {sought}: there are candles of {held}, which is not {sought}"):
        read(tmp_path, sought)


def test_reader_given_an_ignored_file_of_the_pair_then_names_it(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair="BRAVO/USDT:USDT", timeframe="5m", candles=candles)
    (tmp_path / "futures" / "ALFA_USDT_USDT-5m-futures.h5").write_bytes(b"x")

    with pytest.raises(
        CandleError, match=r"ALFA_USDT_USDT-5m-futures\.h5 is ignored: HDF5 is not supported: convert it with `freqtrade convert-data"
    ):
        read(tmp_path)


def test_reader_given_a_directory_for_funding_then_takes_no_candles_from_it(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path / "a", pair=PAIR, timeframe="5m", candles=candles.iloc[:100])
    write_candles(tmp_path / "b", pair=PAIR, timeframe="5m", candles=candles)
    times = pd.to_datetime([START, START + timedelta(hours=8)], utc=True)
    write_funding(tmp_path / "b", pair=PAIR, funding=pd.DataFrame({"time": times, "funding_rate": [0.0001, -0.0002]}))

    reader = FileCandles(tmp_path / "a", funding_from=[tmp_path / "b"], wall_now=lambda: NOW)

    assert (len(reader.candles(PAIR, "5m", start=START, end=NOW)), len(reader.funding(PAIR, start=START, end=NOW))) == (100, 2)


def test_inspection_given_files_of_every_kind_then_each_is_judged_and_none_hides_another(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)
    hourly = candles.iloc[::12].reset_index(drop=True)
    write_candles(tmp_path, pair=PAIR, timeframe="1h", candles=hourly.assign(open_time=hourly["open_time"].dt.floor("h")))
    folder = tmp_path / "futures"
    plain = candles.rename(columns={"open_time": "date"})
    plain.iloc[:0].to_feather(folder / "EMPTY_USDT_USDT-5m-futures.feather")
    plain.assign(low=0.0).to_feather(folder / "ZERO_USDT_USDT-5m-futures.feather")
    plain.assign(volume=np.nan).to_feather(folder / "NAN_USDT_USDT-5m-futures.feather")
    plain.assign(volume=np.nan).to_feather(folder / "ALFA_USDT_USDT-5m-mark.feather")
    (folder / "CUT_USDT_USDT-1h-mark.feather").write_bytes((folder / "ALFA_USDT_USDT-5m-futures.feather").read_bytes()[:900])
    plain.assign(open=5.0).to_feather(folder / "ALFA_USDT_USDT-8h-funding_rate.feather")
    (tmp_path / "notes.txt").write_text("x")

    findings, ignored = inspect_files(tmp_path, now=NOW)

    state = {Path(found.path).name: found.problem for found in findings}
    assert [name for name, problem in state.items() if problem is None] == [
        "ALFA_USDT_USDT-1h-futures.feather",
        "ALFA_USDT_USDT-5m-futures.feather",
        "ALFA_USDT_USDT-5m-mark.feather",
    ]
    for name, words in (
        ("EMPTY_USDT_USDT-5m-futures", "contains no candle"),
        ("ZERO_USDT_USDT-5m-futures", "prices must be above 0"),
        ("NAN_USDT_USDT-5m-futures", "no number as volume"),
        ("CUT_USDT_USDT-1h-mark", "cannot be read"),
        ("ALFA_USDT_USDT-8h-funding_rate", "has the rate 5.0"),
    ):
        assert words in (state[f"{name}.feather"] or "")
    assert [Path(file.path).name for file in ignored] == ["notes.txt"]


def test_writer_leaves_freqtrade_s_columns_and_no_other_file(tmp_path: Path, candles: pd.DataFrame) -> None:
    path = write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)

    assert list(pd.read_feather(path).columns) == ["date", "open", "high", "low", "close", "volume"]
    assert [found.name for found in path.parent.iterdir()] == ["ALFA_USDT_USDT-5m-futures.feather"]


def test_writer_given_an_unlawful_frame_then_refuses_and_keeps_the_old_file(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)

    with pytest.raises(CandleError):
        write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles.assign(high=0.1))

    pd.testing.assert_frame_equal(read(tmp_path), candles)


def test_reader_given_a_file_that_was_replaced_then_reads_it_again(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles.iloc[:100])
    reader = FileCandles(tmp_path, wall_now=lambda: NOW)
    before = len(reader.candles(PAIR, "5m", start=START, end=NOW))

    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)

    assert (before, len(reader.candles(PAIR, "5m", start=START, end=NOW))) == (100, len(candles))


@pytest.mark.parametrize("written", [0.0, START.timestamp(), NOW.timestamp()])
def test_reader_given_any_time_of_writing_then_drops_no_candle(tmp_path: Path, candles: pd.DataFrame, written: float) -> None:
    path = write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)
    os.utime(path, (written, written))

    report = FileCandles(tmp_path, wall_now=lambda: NOW).reports()[0]

    assert (report.rows_out, report.unclosed) == (len(candles), 0)


def test_reader_given_candles_that_close_after_the_wall_time_then_drops_them_as_unclosed(tmp_path: Path, candles: pd.DataFrame) -> None:
    to_come = candles["open_time"] + pd.Timedelta(days=36_500)
    write_candles(
        tmp_path, pair=PAIR, timeframe="5m", candles=candles.assign(open_time=candles["open_time"].where(candles.index < 100, to_come))
    )

    report = FileCandles(tmp_path, wall_now=lambda: NOW).reports()[0]

    assert (report.rows_out, report.unclosed) == (100, len(candles) - 100)


def test_reader_given_two_directories_then_joins_their_candles(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path / "a", pair=PAIR, timeframe="5m", candles=candles.iloc[:300])
    write_candles(tmp_path / "b", pair=PAIR, timeframe="5m", candles=candles.iloc[250:])

    reader = FileCandles(tmp_path / "a", tmp_path / "b", wall_now=lambda: NOW)

    pd.testing.assert_frame_equal(reader.candles(PAIR, "5m", start=START, end=NOW), candles)


def test_reader_given_a_timeframe_then_names_the_pairs_that_have_it(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)
    hourly = candles.iloc[::12].reset_index(drop=True)
    write_candles(tmp_path, pair="BRAVO/USDT", timeframe="1h", candles=hourly.assign(open_time=hourly["open_time"].dt.floor("h")))

    reader = FileCandles(tmp_path, timeframe="1h", wall_now=lambda: NOW)

    assert reader.pairs() == ("BRAVO/USDT",)
    assert reader.span(PAIR, "5m")[0] == START
    with pytest.raises(CandleError, match="there are 5m of it"):
        reader.candles(PAIR, "1h", start=START, end=END)


def test_reader_given_freqtrade_s_funding_then_the_rate_stands_in_open(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)
    times = pd.to_datetime([START, START + timedelta(hours=8)], utc=True)
    write_funding(tmp_path, pair=PAIR, funding=pd.DataFrame({"time": times, "funding_rate": [0.0001, -0.0002]}))

    funding = FileCandles(tmp_path, wall_now=lambda: NOW).funding(PAIR, start=START, end=END)

    assert funding["funding_rate"].tolist() == [0.0001, -0.0002]


def test_reader_given_no_funding_then_the_frame_is_empty(tmp_path: Path, candles: pd.DataFrame) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=candles)
    reader = FileCandles(tmp_path, wall_now=lambda: NOW)

    assert len(reader.funding(PAIR, start=START, end=END)) == 0


def test_reader_given_no_directory_then_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="nowhere is not a directory: name a freqtrade data directory"):
        FileCandles(tmp_path / "nowhere", wall_now=lambda: NOW)


def test_reader_given_an_empty_directory_then_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="files are named like BTC_USDT_USDT-5m-futures"):
        FileCandles(tmp_path, wall_now=lambda: NOW)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ALFA_USDT_USDT-5m-futures.feather", b"not a feather"),
        ("ALFA_USDT_USDT-5m-futures.feather", b""),
        ("ALFA_USDT_USDT-5m-futures.parquet", b"PAR1"),
        ("ALFA_USDT_USDT-5m-futures.json", b"[[1,2"),
        ("ALFA_USDT_USDT-5m-futures.json", b"3"),
        ("ALFA_USDT_USDT-5m-futures.json", b"[[1736121600000,1,2]]"),
        ("ALFA_USDT_USDT-5m-futures.json.gz", b"[]"),
        ("ALFA_USDT_USDT-5m.csv", b""),
        ("ALFA_USDT_USDT-5m.csv", b"a,b\n1,2\n"),
        ("ALFA_USDT_USDT-5m.csv", b"\xff\xfe\x00"),
        ("ALFA_USDT_USDT-5m.csv", b"1736121600000,1,1,1,1,1\n1736121900000,1,1,1,1,1\n"),
    ],
)
def test_reader_given_a_file_that_cannot_be_read_then_names_path_and_remedy(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    reader = FileCandles(tmp_path, wall_now=lambda: NOW)

    with pytest.raises(CandleError, match="ALFA_USDT_USDT-5m") as caught:
        reader.candles(PAIR, "5m", start=START, end=END)

    assert ":" in str(caught.value)


def test_reader_given_the_order_open_close_high_low_without_names_then_refuses(tmp_path: Path, candles: pd.DataFrame) -> None:
    swapped = candles[["open_time", "open", "close", "high", "low", "volume"]]
    swapped.assign(open_time=swapped["open_time"].astype("int64") // 1_000).to_csv(
        tmp_path / "ALFA_USDT_USDT-5m.csv", index=False, header=False
    )

    with pytest.raises(CandleError, match="has no header, so the order of its columns is unknown"):
        read(tmp_path)


def test_reader_given_the_order_open_close_high_low_named_wrongly_then_refuses(tmp_path: Path, candles: pd.DataFrame) -> None:
    swapped = candles[["open_time", "open", "close", "high", "low", "volume"]].set_axis(
        ["date", "open", "high", "low", "close", "volume"], axis="columns"
    )
    swapped.to_feather(tmp_path / "ALFA_USDT_USDT-5m-futures.feather")

    with pytest.raises(CandleError, match="the column names are in the order"):
        read(tmp_path)


def test_reader_given_the_order_open_close_high_low_named_rightly_then_reads_it(tmp_path: Path, candles: pd.DataFrame) -> None:
    swapped = candles[["open_time", "open", "close", "high", "low", "volume"]].rename(columns={"open_time": "date"})
    swapped.to_feather(tmp_path / "ALFA_USDT_USDT-5m-futures.feather")

    pd.testing.assert_frame_equal(read(tmp_path), candles)


def test_reader_given_a_vendor_s_mixture_then_clean_candles_and_a_report(tmp_path: Path, candles: pd.DataFrame) -> None:
    milliseconds = candles["open_time"].dt.as_unit("ms").astype("int64")
    fresh = candles.assign(unix=milliseconds.astype("float64"), date=candles["open_time"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    old = fresh.assign(unix=milliseconds / 1_000, date=candles["open_time"].dt.strftime("%Y-%m-%d %I-%p"), volume=fresh["volume"].round(2))
    mixture = pd.concat([fresh.iloc[100:], old.iloc[:150]]).sort_values("unix", ascending=False)
    mixture["Volume USDT"] = 1.0
    mixture.drop(columns="open_time").rename(columns={"volume": "Volume ALFA"}).to_csv(tmp_path / "ALFA_USDT_USDT-5m.csv.gz", index=False)

    reader = FileCandles(tmp_path, wall_now=lambda: NOW)
    found = reader.candles(PAIR, "5m", start=START, end=NOW)

    report = reader.reports()[0]
    assert found["open_time"].equals(candles["open_time"])
    assert np.allclose(found["volume"], candles["volume"], rtol=1e-3)
    assert (report.duplicates, report.conflicting, report.mixed_units) == (50, 0, 150)


DIRTY = Path(__file__).parents[4] / "shared" / "data" / "dirty"
dirty = pytest.mark.skipif(not DIRTY.is_dir(), reason="the shared recordings (../shared/data/dirty) are absent")


@dirty
def test_dirty_cryptodatadownload_given_as_it_is_then_clean_candles_and_a_report(tmp_path: Path) -> None:
    shutil.copy(DIRTY / "cryptodatadownload_BTCUSDT_1h_2017_2021.csv.gz", tmp_path / "BTC_USDT-1h.csv.gz")

    report = FileCandles(tmp_path, timeframe="1h", wall_now=lambda: NOW).reports()[0]

    assert (report.rows_in, report.rows_out, report.duplicates, report.conflicting) == (36_062, 33_413, 2_649, 313)
    assert report.mixed_units > 0
    assert report.reordered > 0


@dirty
def test_dirty_bitfinex_given_without_header_then_refused_and_with_its_names_clean(tmp_path: Path) -> None:
    content = gzip.decompress((DIRTY / "bitfinex_LTCUSD_1m_2013_o-c-h-l.csv.gz").read_bytes()).decode()
    lines = content.splitlines(keepends=True)
    body = "".join(lines if lines[0][0].isdigit() else lines[1:])
    path = tmp_path / "LTC_USD-1m.csv"

    path.write_text(body)
    with pytest.raises(CandleError, match="no header"):
        FileCandles(tmp_path, timeframe="1m", wall_now=lambda: NOW).reports()
    path.write_text("date,open,high,low,close,volume\n" + body)
    with pytest.raises(CandleError, match="the column names are in the order"):
        FileCandles(tmp_path, timeframe="1m", wall_now=lambda: NOW).reports()
    path.write_text("date,open,close,high,low,volume\n" + body)
    report = FileCandles(tmp_path, timeframe="1m", wall_now=lambda: NOW).reports()[0]

    assert report.rows_out > 18_000
    assert report.gaps_count > 0


@dirty
def test_recorded_directories_given_as_they_are_then_all_are_read() -> None:
    root = DIRTY.parent
    for name, timeframe in (("usdm-5m-2025", "5m"), ("usdm-1h-2025", "1h"), ("usdm-1m-2025-mit", "1m")):
        for report in FileCandles(root / name, timeframe=timeframe, wall_now=SystemClock().wall_now).reports():
            assert report.rows_in == report.rows_out
