"""Open times in the formats of the sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bot3.errors import CandleError
from bot3.market.candle_times import plain_numbers, utc_times

AT = pd.Timestamp("2026-01-05T12:00:00.25Z")
SECONDS = 1_767_614_400.25


def parsed(*values: Any, dtype: Any = None) -> tuple[list[pd.Timestamp], int]:
    times, others = utc_times(pd.Series(list(values), dtype=dtype), what="file.csv")
    assert str(times.dtype) == "datetime64[us, UTC]"
    return times.tolist(), others


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e6, 1e9])
def test_utc_times_given_numbers_in_any_unit_then_are_the_same_instants(factor: float) -> None:
    assert parsed(SECONDS * factor, (SECONDS + 60.0) * factor) == ([AT, AT + pd.Timedelta(minutes=1)], 0)


def test_utc_times_given_mixed_units_then_counts_those_that_differ_from_most() -> None:
    assert parsed(SECONDS, SECONDS * 1e3, SECONDS * 1e6, SECONDS * 1e3) == ([AT] * 4, 2)
    assert parsed(dtype="float64") == ([], 0)


@pytest.mark.parametrize(("lowest", "year"), [(1e8, 1973), (1e11, 1973), (1e14, 1973), (1e17, 1973)])
def test_utc_times_given_the_lowest_number_of_a_unit_then_is_in_1973(lowest: float, year: int) -> None:
    assert parsed(lowest)[0][0].year == year


@pytest.mark.parametrize("number", [0.0, 1e8 - 1.0, 1e20, -SECONDS, np.inf])
def test_utc_times_given_a_number_that_is_no_instant_then_names_its_row(number: float) -> None:
    with pytest.raises(CandleError, match=r"file\.csv: row 1 \(counted from 0\) has the invalid open time"):
        parsed(SECONDS, number)


def test_utc_times_given_datetimes_in_utc_then_keeps_them() -> None:
    for zone in ("UTC", "Etc/UTC", "GMT"):
        assert parsed(AT.tz_convert(zone)) == ([AT], 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([AT, pd.NaT], "row 1 .* has no open time"),
        ([AT.tz_localize(None)], "have no time zone"),
        ([AT.tz_convert("Europe/Berlin")], "are in Europe/Berlin"),
        (["2026-01-05T12:00:00Z", "2026-01-05T12:00:00"], "row 1 .* has the open time '2026-01-05T12:00:00': write it in UTC"),
        (["2026-01-05T12:00:00+02:00"], "write it in UTC"),
        (["2026-01-05T12:00:00Z", "2026-13-05T12:00:00Z"], "row 1 .* has the invalid open time"),
    ],
)
def test_utc_times_given_times_that_are_not_in_utc_then_says_which(values: list[Any], message: str) -> None:
    with pytest.raises(CandleError, match=message):
        parsed(*values)


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00", "+0000"])
def test_utc_times_given_texts_with_the_offset_of_utc_then_reads_them(offset: str) -> None:
    assert parsed(f" 2026-01-05T12:00:00.250{offset} ") == ([AT], 0)


def test_plain_numbers_given_any_values_then_those_without_a_number_are_missing() -> None:
    found = plain_numbers(pd.Series([1, "2.5", None, True, "x", 10**400, 1j, np.bool_(0)], dtype=object))

    assert found[:2].tolist() == [1.0, 2.5]
    assert np.isnan(found[2:]).all()
    assert plain_numbers(pd.Series([1, 2])).dtype == np.float64
    assert np.isnan(plain_numbers(pd.Series([1, None], dtype="Int64"))).tolist() == [False, True]
