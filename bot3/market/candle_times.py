"""Parse open times in the formats of the sources: datetimes, ISO texts, or numbers since 1970 (seconds, milli-, micro- or nanoseconds)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError

TIME_COLUMNS = ("open_time", "date", "time", "timestamp", "unix", "datetime", "open time")
"""Column names that a source may use for the open time; a numeric column is preferred where there are several."""

_UTC_NAMES = {"UTC", "Etc/UTC", "GMT", "UTC+00:00", "UTC-00:00", "+00:00", "Z"}
# The ranges of the units do not overlap for dates from 1973 to 5138: an instant in seconds is never mistaken for one in milliseconds.
_UNITS_US = ((1e8, 1e11, 1_000_000.0), (1e11, 1e14, 1_000.0), (1e14, 1e17, 1.0), (1e17, 1e20, 0.001))


def utc_times(values: pd.Series[Any], *, what: str) -> tuple[pd.Series[Any], int]:
    """Parse a column of times; return it as datetime64[us, UTC], and how many numbers had another unit than the most frequent one.

    Parameters
    ----------
    values : Series of shape (n,)
        Datetimes in UTC, ISO texts that end in Z or +00:00, or numbers since 1970 in seconds, milli-, micro- or nanoseconds (also mixed).
    what : str
        Name of the source in error messages.

    Raises
    ------
    CandleError
        If a time is missing, has no time zone, is not in UTC, or is invalid; a number must be a time from March 1973 on.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(values.dtype):
        return _from_datetimes(values, what=what), 0
    numbers = plain_numbers(values)
    if len(values) and bool(np.isnan(numbers).all()):
        return _from_texts(values, what=what), 0
    return _from_numbers(numbers, what=what)


def plain_numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return a column of any type as float64; NaN for invalid values (booleans and complex numbers are invalid)."""
    if values.dtype.kind in "iuf":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array([_plain_number(value) for value in values], dtype=np.float64)


def _plain_number(value: object) -> float:
    if isinstance(value, bool | np.bool_):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]  # a value without a float form raises
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _from_datetimes(values: pd.Series[Any], *, what: str) -> pd.Series[Any]:
    if bool(values.isna().any()):
        raise CandleError(f"{what}: row {_first(values.isna())} (counted from 0) has no open time: remove the row or fetch it again")
    zone = getattr(values.dtype, "tz", None)
    if zone is None:
        raise CandleError(f"{what}: open times have no time zone: write them in UTC (use tz_localize('UTC') if they are UTC times)")
    if str(zone) not in _UTC_NAMES:
        raise CandleError(f"{what}: open times are in {zone}, not in UTC: write them with tz_convert('UTC')")
    times: pd.Series[Any] = values.dt.tz_convert("UTC").astype("datetime64[us, UTC]")
    return times


def _from_texts(values: pd.Series[Any], *, what: str) -> pd.Series[Any]:
    texts = pd.Series([str(value).strip() for value in values], dtype=object)
    zoned = texts.str.contains(r"(?:Z|[+-]00:?00)$", regex=True)
    if not bool(zoned.all()):
        row = _first(~zoned)
        raise CandleError(
            f"{what}: row {row} (counted from 0) has the open time {texts.iloc[row]!r}: write it in UTC, with +00:00 at its end"
        )
    times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    if bool(times.isna().any()):
        row = _first(times.isna())
        raise CandleError(
            f"{what}: row {row} (counted from 0) has the invalid open time {texts.iloc[row]!r}: write it like 2025-01-06T12:00:00+00:00"
        )
    return times.astype("datetime64[us, UTC]")


def _from_numbers(numbers: NDArray[np.float64], *, what: str) -> tuple[pd.Series[Any], int]:
    microseconds = np.full(len(numbers), np.nan)
    unit = np.full(len(numbers), -1)
    for index, (lowest, above, factor) in enumerate(_UNITS_US):
        inside = (numbers >= lowest) & (numbers < above)
        microseconds[inside] = numbers[inside] * factor
        unit[inside] = index
    if bool((unit < 0).any()):
        row = int(np.argmax(unit < 0))
        raise CandleError(
            f"{what}: row {row} (counted from 0) has the invalid open time {numbers[row]}: it must be a time after February 1973, in "
            f"seconds, milli-, micro- or nanoseconds since 1970; correct or remove the row"
        )
    others = len(unit) - int(np.bincount(unit).max()) if len(unit) else 0
    whole = np.rint(microseconds).astype(np.int64)
    return pd.Series(pd.to_datetime(whole, unit="us", utc=True)).astype("datetime64[us, UTC]"), others


def _first(mask: pd.Series[Any]) -> int:
    return int(np.argmax(mask.to_numpy(dtype=bool)))
