from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from bot3.adapters.files.signals import SIGNAL_DTYPES, FileSignals
from bot3.errors import StoreError

WEEK = "2025-01-06"
START = datetime(2025, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def some_signals(feeder_id: str = "F01", *, hours: tuple[int, ...] = (3, 1, 2), start: datetime = START) -> pd.DataFrame:
    rows = [
        {
            "feeder_id": feeder_id,
            "pair": "A/USDT:USDT",
            "is_short": hour % 2 == 0,
            "confidence": 0.6,
            "candle_open_time": start + hour * HOUR - timedelta(minutes=5),
            "known_at": start + hour * HOUR,
            "model_digest": "d",
            "horizon": "3d" if hour % 2 else "24h",
        }
        for hour in hours
    ]
    return pd.DataFrame(rows, columns=list(SIGNAL_DTYPES)).astype(SIGNAL_DTYPES)


def test_signals_given_weeks_of_two_feeders_then_returns_the_span_in_order(tmp_path: Path) -> None:
    store = FileSignals(tmp_path)
    store.write_week("F01", WEEK, some_signals())
    store.write_week("F02", WEEK, some_signals("F02", hours=(2,)))
    store.write_week("F01", "2025-01-13", some_signals(start=START + timedelta(days=7), hours=(0,)))

    found = store.signals(feeder_ids=("F01", "F02"), start=START + 2 * HOUR, end=START + timedelta(days=7) + HOUR)

    assert list(zip(found["feeder_id"], found["known_at"], strict=True)) == [
        ("F01", START + 2 * HOUR),
        ("F02", START + 2 * HOUR),
        ("F01", START + 3 * HOUR),
        ("F01", START + timedelta(days=7)),
    ]
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == SIGNAL_DTYPES
    assert store.weeks("F01") == (WEEK, "2025-01-13")


def test_write_week_given_the_week_again_then_replaces_it(tmp_path: Path) -> None:
    store = FileSignals(tmp_path)
    store.write_week("F01", WEEK, some_signals())
    store.write_week("F01", WEEK, some_signals(hours=(5,)))

    assert len(store.signals(feeder_ids=["F01"], start=START, end=START + timedelta(days=7))) == 1


def test_write_week_given_no_signal_then_the_week_is_there_and_empty(tmp_path: Path) -> None:
    store = FileSignals(tmp_path)
    store.write_week("F01", WEEK, some_signals(hours=()))

    assert store.weeks("F01") == (WEEK,)
    assert len(store.signals(feeder_ids=["F01"], start=START, end=START + timedelta(days=7))) == 0


@pytest.mark.parametrize("signals", [some_signals("F02"), some_signals(hours=(24 * 7,)), some_signals().drop(columns="pair")])
def test_write_week_given_rows_that_do_not_belong_then_refuses(tmp_path: Path, signals: pd.DataFrame) -> None:
    with pytest.raises(StoreError):
        FileSignals(tmp_path).write_week("F01", WEEK, signals)

    assert FileSignals(tmp_path).weeks("F01") == ()


@pytest.mark.parametrize(("feeder_id", "week"), [("F99", WEEK), ("F01", "2025-01-07"), ("../x", WEEK)])
def test_write_week_given_no_partition_then_refuses(tmp_path: Path, feeder_id: str, week: str) -> None:
    with pytest.raises(StoreError):
        FileSignals(tmp_path).write_week(feeder_id, week, some_signals())


def test_signals_given_a_broken_file_then_says_which(tmp_path: Path) -> None:
    store = FileSignals(tmp_path)
    store.write_week("F01", WEEK, some_signals())
    (tmp_path / "F01" / f"{WEEK}.parquet").write_bytes(b"PAR1 no more")

    with pytest.raises(StoreError, match=WEEK):
        store.signals(feeder_ids=["F01"], start=START, end=START + timedelta(days=7))


def test_signals_given_a_file_of_a_release_without_horizons_then_all_are_of_24_hours(tmp_path: Path) -> None:
    store = FileSignals(tmp_path)
    store.write_week("F01", WEEK, some_signals())
    path = tmp_path / "F01" / f"{WEEK}.parquet"
    pd.read_parquet(path).drop(columns="horizon").to_parquet(path, index=False)

    found = store.signals(feeder_ids=("F01",), start=START, end=START + timedelta(days=1))

    assert found["horizon"].tolist() == ["24h"] * 3
