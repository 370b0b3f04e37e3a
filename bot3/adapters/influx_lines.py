"""Line protocol: points as text, with field types that never change and a time that is their identity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from bot3.errors import StoreError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
PLACES = 1_000
"""Nanoseconds in the microsecond that our instants are whole in: so many points of a series can share an instant."""

Kind = str
"""How a field is kept: "float", "int", "bool", "text" or "time" (ISO 8601 text, whole microseconds)."""


def point_ns(at: datetime, number: int) -> int:
    """Return a point's time: its instant, and its number in the nanoseconds below the microsecond.

    Two points of one series at one instant stay two, in the order of their numbers, and the same point is always at the same time.
    """
    return (at - _EPOCH) // _MICROSECOND * PLACES + number % PLACES


def instant_of(at_ns: int) -> datetime:
    """Return the instant of a point's time, without its number."""
    return _EPOCH + timedelta(microseconds=at_ns // PLACES)


def parse_ns(text: str) -> int:
    """Return nanoseconds since 1970 of a time as the server writes it ("2026-01-05T12:00:00.000000001Z")."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or "0")


def format_ns(at_ns: int) -> str:
    """Return a time as the server reads it."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{fraction:09d}Z"


def tag_text(value: str) -> str:
    """Return a tag's value as line protocol writes it.

    Raises
    ------
    StoreError
        If it is empty, or holds what a tag cannot (a line break, a backslash).
    """
    if not value or "\n" in value or "\\" in value:
        raise StoreError(f"{value!r} cannot be a tag in InfluxDB: mend it at its source")
    return value.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Any], *, kinds: Mapping[str, Kind], at_ns: int) -> str:
    """Return one point; fields that are None are left out. Raises StoreError for a value that its field cannot hold."""
    series = "".join(f",{name}={tag_text(value)}" for name, value in sorted(tags.items()))
    held = ",".join(f"{name}={_WRITERS[kinds[name]](value)}" for name, value in fields.items() if value is not None)
    return f"{measurement}{series} {held} {at_ns}"


def column_texts(name: str, values: pd.Series[Any], kind: Kind) -> list[str]:
    """Return a column of fields as texts, each with a comma before it; nothing where a value is missing."""
    if kind == "time":
        return _time_texts(name, values)
    missing: list[bool] = values.isna().tolist()
    if kind == "float" and np.isinf(values.to_numpy(dtype="float64")).any():
        raise StoreError(f"{name} holds an infinite number, which cannot be published")
    write: Callable[[Any], str] = repr if kind == "float" else _WRITERS[kind]
    return ["" if gone else f",{name}={write(value)}" for value, gone in zip(values.tolist(), missing, strict=True)]


def tag_texts(name: str, values: pd.Series[Any]) -> list[str]:
    """Return a column of tags as texts, each with a comma before it; each value is written once."""
    known = {value: f",{name}={tag_text(str(value))}" for value in values.unique()}
    return [known[value] for value in values.tolist()]


def _time_texts(name: str, values: pd.Series[Any]) -> list[str]:
    texts = np.datetime_as_string(values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]"))
    return [f',{name}="{text}+00:00"' for text in texts.tolist()]


def field_of(text: str, kind: Kind) -> Any:
    """Return a field's value from the text that a query gives."""
    return _READERS[kind](text)


def batches(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield lines in batches."""
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _float_text(value: Any) -> str:
    number = float(value)
    if not math.isfinite(number):
        raise StoreError(f"{number} is no number that can be published")
    return repr(number)


def _quoted(value: Any) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_WRITERS: dict[Kind, Callable[[Any], str]] = {
    "float": _float_text,
    "int": lambda value: f"{int(value)}i",
    "bool": lambda value: "true" if value else "false",
    "text": _quoted,
    "time": lambda value: f'"{value.isoformat()}"',
}
_READERS: dict[Kind, Callable[[str], Any]] = {
    "float": float,
    "int": int,
    "bool": lambda text: text == "true",
    "text": str,
    "time": datetime.fromisoformat,
}
