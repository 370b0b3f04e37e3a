"""InfluxDB's line protocol: format points as text, with fixed field types; a point is identified by measurement, tags and time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bot3.errors import StoreError
from bot3.market.instants import EPOCH, instant_of, instant_us

PLACES = 1_000
"""Nanoseconds per microsecond. Times here are whole microseconds, so up to this many points of a series can have the same microsecond."""

_LAST_US = instant_us(datetime(2200, 1, 1, tzinfo=UTC))


class UnwritableError(StoreError):
    """A value cannot be represented in a point of InfluxDB."""


Kind = str
"""Storage type of a field: "float", "int", "bool", "text" or "time" (ISO 8601 text, whole microseconds)."""


def point_ns(at: datetime, number: int) -> int:
    """Return a point's time in nanoseconds since 1970: `at`, plus `number` modulo 1000 nanoseconds.

    So points of one series at one microsecond do not overwrite each other, unless their numbers differ by a multiple of 1000, and a point
    has the same time whenever it is written.

    Raises
    ------
    UnwritableError
        If `at` is before 1970 or after the start of 2200.
    """
    at_us = instant_us(at)
    require_time(at_us)
    return at_us * PLACES + number % PLACES


def require_time(at_us: int) -> None:
    """Raise UnwritableError if microseconds since 1970 are before 1970 or after the start of 2200, the range that readers query."""
    if not 0 <= at_us <= _LAST_US:
        raise UnwritableError(f"a time {at_us} microseconds after 1970 cannot be published: points lie between 1970 and 2200")


def instant_of_ns(at_ns: int) -> datetime:
    """Return a point's time rounded down to the microsecond, which removes the number that `point_ns` added."""
    return instant_of(at_ns // PLACES)


def parse_ns(text: str) -> int:
    """Parse a time in the server's format ("2026-01-05T12:00:00.000000001Z") to nanoseconds since 1970."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or "0")


def format_ns(at_ns: int) -> str:
    """Format nanoseconds since 1970 as a time that the server parses."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    return f"{(EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{fraction:09d}Z"


_NOT_IN_TAGS = re.compile(r"[%\\\x00-\x1f\x7f]")
_EMPTY = "%"
"""Replaces an empty text; it is unambiguous, because every other percent sign is followed by two hexadecimal digits."""


def tag_value(text: str) -> str:
    """Return a text in a form that a tag can store: percent signs, backslashes and control characters become %XX.

    InfluxDB cannot write a tag with a line break, nor delete one with a control character: records of older releases may contain such
    names, which must not prevent that other points are published. An empty text becomes "%".
    """
    return _NOT_IN_TAGS.sub(lambda found: f"%{ord(found[0]):02X}", text) or _EMPTY


def text_of_tag(value: str) -> str:
    """Return the text that `tag_value` converted to a value."""
    return "" if value == _EMPTY else unquote(value)


def tag_text(text: str) -> str:
    """Return a text in line protocol's format of a tag."""
    return tag_value(text).replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Any], *, kinds: Mapping[str, Kind], at_ns: int) -> str:
    """Return one point as a line of text; fields that are None are left out. Raises UnwritableError for a number that is not finite."""
    series = "".join(f",{name}={tag_text(value)}" for name, value in sorted(tags.items()))
    held = ",".join(f"{name}={_WRITERS[kinds[name]](value)}" for name, value in fields.items() if value is not None)
    return f"{measurement}{series} {held} {at_ns}"


Part: TypeAlias = pa.Array | str
"""A column of texts, or one text that is equal in all rows."""


def joined(*parts: Part) -> pa.Array:
    """Return texts concatenated row by row; null in a row in which a part is null."""
    # One pass over all parts: concatenation in steps would copy the texts at each step.
    return pc.binary_join_element_wise(*(pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in (*parts, "")))


def field_parts(name: str, values: pd.Series[Any], kind: Kind, *, lead: str = ",") -> tuple[Part, ...]:
    """Return a column of fields as parts for `joined` (",open_rate=100.5" in a row); empty in rows in which the value is missing.

    Raises
    ------
    UnwritableError
        If a number is infinite.
    """
    if kind == "float" and np.isinf(values.to_numpy(dtype="float64")).any():
        raise UnwritableError(f"{name} contains an infinite number, which cannot be published")
    before, after = _AROUND[kind]
    texts = _COLUMN_WRITERS[kind](values)
    parts = (f"{lead}{name}={before}", texts, after)
    return (pc.fill_null(joined(*parts), ""),) if texts.null_count else parts


def tag_texts(name: str, values: pd.Series[Any]) -> pa.Array:
    """Return a column of tags as texts, each with a leading comma; each distinct value is formatted once."""
    found = _strings(values).dictionary_encode()
    known = [f",{name}={tag_text(str(value))}" for value in found.dictionary.to_pylist()]
    return pa.array(known, pa.large_string()).take(found.indices)


def _strings(values: pd.Series[Any]) -> pa.Array:
    return pa.array(values, pa.large_string(), from_pandas=True)


def _float_texts(values: pd.Series[Any]) -> pa.Array:
    return pc.cast(pa.array(values.to_numpy(dtype="float64"), from_pandas=True), pa.large_string())


def _int_texts(values: pd.Series[Any]) -> pa.Array:
    return pc.cast(pa.array(values, pa.int64()), pa.large_string())


def _bool_texts(values: pd.Series[Any]) -> pa.Array:
    return pc.cast(pa.array(values, pa.bool_()), pa.large_string())


def _escaped_texts(values: pd.Series[Any]) -> pa.Array:
    return pc.replace_substring(pc.replace_substring(_strings(values), "\\", "\\\\"), '"', '\\"')


def _time_texts(values: pd.Series[Any]) -> pa.Array:
    plain = pa.array(values.dt.as_unit("us").astype("int64").to_numpy()).cast(pa.timestamp("us"))
    return pc.utf8_replace_slice(pc.cast(plain, pa.large_string()), start=10, stop=11, replacement="T")


def field_of(text: str, kind: Kind) -> Any:
    """Parse a field's value from the text in a query's response."""
    return _READERS[kind](text)


def batches(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield lines in batches of at most `size`."""
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _float_text(value: Any) -> str:
    number = float(value)
    if not math.isfinite(number):
        raise UnwritableError(f"{number} is not finite and cannot be published")
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
_AROUND: dict[Kind, tuple[str, str]] = {"float": ("", ""), "int": ("", "i"), "bool": ("", ""), "text": ('"', '"'), "time": ('"', '+00:00"')}
_COLUMN_WRITERS: dict[Kind, Callable[[pd.Series[Any]], pa.Array]] = {
    "float": _float_texts,
    "int": _int_texts,
    "bool": _bool_texts,
    "text": _escaped_texts,
    "time": _time_texts,
}
_READERS: dict[Kind, Callable[[str], Any]] = {
    "float": float,
    "int": int,
    "bool": lambda text: text == "true",
    "text": str,
    "time": datetime.fromisoformat,
}
