"""The format of candle and funding frames, and the validation that enforces it.

A **candle frame** is a pandas frame of one pair and one timeframe with a RangeIndex and the columns

========== ==================== =========================================================
open_time  datetime64[us, UTC]  first instant of the candle; strictly increasing, aligned
open       float64              above 0, finite; quote per base
high       float64              >= max(open, close)
low        float64              <= min(open, close)
close      float64
volume     float64              >= 0, base currency; 0 is a real candle, not a gap
========== ==================== =========================================================

A candle frame contains closed candles only, never one that is still in progress. Gaps stay gaps: they are not filled with
generated candles. A **funding frame** has the columns `time` (datetime64[us, UTC], strictly increasing) and `funding_rate`
(float64; above 0: longs pay shorts, as a ratio of the position's value).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError
from bot3.market.candle_times import TIME_COLUMNS, plain_numbers, utc_times
from bot3.market.instants import instant_of, instant_us, microseconds
from bot3.market.timeframes import timeframe_duration

CANDLE_COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("time", "funding_rate")

GAPS_LISTED = 20
SPIKE_FACTOR = 20.0  # real candles of 2025 reach 10 to 15 times their trailing range a few times a year
OFF_GRID_SHARE = 0.01
_SPIKE_HALF_LIFE = 288


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleReport:
    """Report of a validation: the problems found and the rows dropped.

    `gaps_count` is the number of gaps and `missing_candles` that of candles missing in them; every other count is a number of rows.

    Parameters
    ----------
    duplicates : int
        Dropped because another row has the same open time.
    conflicting : int
        Those among the dropped duplicates that differ from the row in use by more than rounding. The row with the largest volume is used:
        the volume of a candle in progress only grows.
    gaps : tuple of (datetime, datetime)
        The first `GAPS_LISTED` gaps: open time of the first missing candle, and of the next existing one.
    unclosed : int
        Dropped because they close after `now`.
    off_grid : int
        Dropped because they do not open at a multiple of the timeframe.
    reordered : int
        Rows directly after a row with a later open time.
    mixed_units : int
        Open times in another unit than most.
    spikes, flat : int
        Candles that were not dropped: with a move or range far above that of the candles before (`spiked`); without volume and with equal
        high and low (outages).
    """

    pair: str
    timeframe: str
    rows_in: int
    rows_out: int
    duplicates: int
    conflicting: int
    gaps_count: int
    missing_candles: int
    gaps: tuple[tuple[datetime, datetime], ...]
    unclosed: int
    off_grid: int
    reordered: int
    mixed_units: int
    spikes: int
    flat: int

    def findings(self) -> dict[str, int]:
        """Return the counts of the problems found, by name; counts of zero are left out."""
        names = (
            "duplicates",
            "conflicting",
            "gaps_count",
            "missing_candles",
            "unclosed",
            "off_grid",
            "reordered",
            "mixed_units",
            "spikes",
            "flat",
        )
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def checked_candles(frame: pd.DataFrame, *, pair: str, timeframe: str, now: datetime) -> tuple[pd.DataFrame, CandleReport]:
    """Validate and clean raw candles; return a valid candle frame and the report.

    Parameters
    ----------
    frame : DataFrame
        One row a candle, in any order; the open time under one of `TIME_COLUMNS`, and open, high, low, close, volume. Other columns are
        ignored.
    now : datetime
        Current time of the source, aware: candles that close after it are still in progress and are dropped.

    Raises
    ------
    CandleError
        If a column is missing or repeated, a time is not UTC, a price is not above 0 and finite, a volume is below 0, a candle's high or
        low contradicts its open and close, or the candles have another timeframe. An invalid frame raises no other exception.
    """
    what = f"{pair} {timeframe} candles"
    duration_us = _duration_us(timeframe)
    raw, mixed_units = _typed(frame, what=what)
    _require_lawful_prices(raw, what=what)
    reordered = int((np.diff(microseconds(raw["open_time"])) < 0).sum())
    on_grid, off_grid = _aligned(raw, duration_us=duration_us, what=what)
    single, duplicates, conflicting = _without_duplicates(on_grid)
    closed = single[microseconds(single["open_time"]) + duration_us <= instant_us(now)].reset_index(drop=True)
    _require_timeframe(closed, duration_us=duration_us, what=what)
    gaps_count, missing, gaps = _gaps(closed, duration_us=duration_us)
    return closed, CandleReport(
        pair=pair,
        timeframe=timeframe,
        rows_in=len(frame),
        rows_out=len(closed),
        duplicates=duplicates,
        conflicting=conflicting,
        gaps_count=gaps_count,
        missing_candles=missing,
        gaps=gaps,
        unclosed=len(single) - len(closed),
        off_grid=off_grid,
        reordered=reordered,
        mixed_units=mixed_units,
        spikes=int(spiked(closed).sum()),
        flat=int(((closed["volume"] == 0.0) & (closed["high"] == closed["low"])).sum()),
    )


def checked_funding(frame: pd.DataFrame, *, pair: str) -> pd.DataFrame:
    """Validate raw funding; return a valid funding frame with times rounded to the second (exchange timestamps are milliseconds late).

    Parameters
    ----------
    frame : DataFrame
        The time in one of `TIME_COLUMNS`, and `funding_rate`; of several rows with the same rounded time the last one is used.

    Raises
    ------
    CandleError
        If a column is missing, a time is not UTC, or a rate is not a number between -1 and 1 (both excluded).
    """
    what = f"{pair} funding"
    times, _ = utc_times(frame[_time_column(frame, what=what)].reset_index(drop=True), what=what)
    rates = _numbers(frame, "funding_rate", what=what)
    bad = ~(np.abs(rates) < 1.0)
    if bad.any():
        raise CandleError(
            f"{what}: row {int(np.argmax(bad))} has the rate {rates[np.argmax(bad)]}, which is invalid: rates are ratios such as 0.0001"
        )
    funding = pd.DataFrame({"time": times.dt.round("s"), "funding_rate": rates})
    return funding.drop_duplicates("time", keep="last").sort_values("time", ignore_index=True)


def spiked(candles: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which candles moved or ranged more than `SPIKE_FACTOR` times the mean range of the candles before them.

    The mean is exponential with a half-life of 288 candles; the first 24 candles are never marked. Such candles are real and stay in the
    frame, but no entry should depend on a single one.
    """
    logs = {name: np.log(candles[name].to_numpy()) for name in ("open", "high", "low", "close")}
    moved = np.abs(np.diff(logs["close"], prepend=logs["open"][:1]))
    ranged = np.maximum(moved, logs["high"] - logs["low"])
    usual = pd.Series(ranged).ewm(halflife=_SPIKE_HALF_LIFE, min_periods=_SPIKE_HALF_LIFE // 12).mean().shift().to_numpy()
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = (ranged > SPIKE_FACTOR * usual) & (ranged > 0.0)
    return found


def _duration_us(timeframe: str) -> int:
    return timeframe_duration(timeframe) // timedelta(microseconds=1)


def _time_column(frame: pd.DataFrame, *, what: str) -> str:
    names = [name for name in TIME_COLUMNS if name in frame.columns]
    if not names:
        raise CandleError(
            f"{what}: the column with the open time is missing: name it one of {', '.join(TIME_COLUMNS)}; "
            f"the columns found are {_names(frame)}"
        )
    for name in names:
        if pd.api.types.is_numeric_dtype(_column(frame, name, what=what).dtype):
            return name
    return names[0]


def _names(frame: pd.DataFrame) -> str:
    return ", ".join(str(name) for name in frame.columns) or "no columns"


def _column(frame: pd.DataFrame, name: str, *, what: str) -> pd.Series[Any]:
    found = frame[name] if name in frame.columns else None
    if found is None:
        raise CandleError(f"{what}: column {name} is missing: add it; the columns found are {_names(frame)}")
    if not isinstance(found, pd.Series):
        raise CandleError(f"{what}: column {name} exists more than once: remove the duplicates")
    return found.reset_index(drop=True)


def _numbers(frame: pd.DataFrame, name: str, *, what: str) -> NDArray[np.float64]:
    numbers = plain_numbers(_column(frame, name, what=what))
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise CandleError(
            f"{what}: row {int(np.argmax(bad))} has no number as {name} (rows count from 0; {int(bad.sum())} such rows): "
            f"remove them or fetch them again"
        )
    return numbers


def _typed(frame: pd.DataFrame, *, what: str) -> tuple[pd.DataFrame, int]:
    missing = [name for name in CANDLE_COLUMNS[1:] if name not in frame.columns]
    if missing:
        raise CandleError(
            f"{what}: column {', '.join(missing)} is missing: name it in the file's header; the columns found are {_names(frame)}"
        )
    time_column = _column(frame, _time_column(frame, what=what), what=what)
    times, mixed_units = utc_times(time_column, what=what)
    columns = {name: _numbers(frame, name, what=what) for name in CANDLE_COLUMNS[1:]}
    return pd.DataFrame({"open_time": times, **columns}), mixed_units


def _require_lawful_prices(candles: pd.DataFrame, *, what: str) -> None:
    low, high = candles["low"].to_numpy(), candles["high"].to_numpy()
    opened, closed = candles["open"].to_numpy(), candles["close"].to_numpy()
    _refuse(candles, (low <= 0.0) | (opened <= 0.0) | (closed <= 0.0), what=what, law="prices must be above 0")
    contradicts = (high < np.maximum(opened, closed)) | (low > np.minimum(opened, closed))
    _refuse(
        candles,
        contradicts,
        what=what,
        law="high and low must enclose open and close; check that the column names are in the order of the columns",
    )
    _refuse(candles, candles["volume"].to_numpy() < 0.0, what=what, law="volume must not be below 0")


def _refuse(candles: pd.DataFrame, bad: NDArray[np.bool_], *, what: str, law: str) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    values = ", ".join(f"{name} {candles[name].iloc[row]}" for name in CANDLE_COLUMNS)
    raise CandleError(f"{what}: {law}: row {row} ({values}) and {int(bad.sum()) - 1} more: correct them or fetch them again")


def _aligned(candles: pd.DataFrame, *, duration_us: int, what: str) -> tuple[pd.DataFrame, int]:
    off = microseconds(candles["open_time"]) % duration_us != 0
    count = int(off.sum())
    if count > OFF_GRID_SHARE * len(candles):
        first = candles["open_time"].iloc[int(np.argmax(off))]
        raise CandleError(
            f"{what}: {count} of {len(candles)} do not open at a multiple of the timeframe (first {first}): check the timeframe"
        )
    return (candles[~off] if count else candles), count


def _without_duplicates(candles: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    ordered = candles.sort_values("open_time", kind="stable", ignore_index=True)
    repeated = ordered["open_time"].duplicated(keep=False).to_numpy()
    if not repeated.any():
        return ordered, 0, 0
    kept = ordered.sort_values(["open_time", "volume"], kind="stable").drop_duplicates("open_time", keep="last", ignore_index=True)
    pairs = ordered[repeated].merge(kept, on="open_time", suffixes=("", "_kept"))
    differs = np.zeros(len(pairs), dtype=bool)
    for name in CANDLE_COLUMNS[1:]:
        ours, theirs = pairs[name].to_numpy(), pairs[f"{name}_kept"].to_numpy()
        # Vendors round the same candle to different numbers of digits: 2194.60 and 2194.598589 are the same volume.
        tolerance = 1e-3 if name == "volume" else 1e-5
        differs |= np.abs(ours - theirs) > tolerance * np.abs(theirs)
    return kept, len(ordered) - len(kept), int(differs.sum())


def _require_timeframe(candles: pd.DataFrame, *, duration_us: int, what: str) -> None:
    steps = np.diff(microseconds(candles["open_time"]))
    if len(steps) >= 10 and steps.min() > duration_us and (steps == steps.min()).mean() > 0.9:
        spacing = timedelta(microseconds=int(steps.min()))
        raise CandleError(f"{what}: the candles are {spacing} apart: name the file after the timeframe of its candles")


def _gaps(candles: pd.DataFrame, *, duration_us: int) -> tuple[int, int, tuple[tuple[datetime, datetime], ...]]:
    opens = microseconds(candles["open_time"])
    steps = np.diff(opens)
    holes = np.flatnonzero(steps > duration_us)
    missing = int((steps[holes] // duration_us - 1).sum())
    listed = tuple((instant_of(int(opens[hole]) + duration_us), instant_of(int(opens[hole + 1]))) for hole in holes[:GAPS_LISTED])
    return len(holes), missing, listed
