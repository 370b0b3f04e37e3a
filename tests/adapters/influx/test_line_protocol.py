"""Line protocol: identity in the nanoseconds, types that never change, nothing that escapes its field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.influx.line_protocol import (
    UnwritableError,
    field_parts,
    format_ns,
    instant_of_ns,
    joined,
    line,
    parse_ns,
    point_ns,
    tag_value,
    text_of_tag,
)
from bot3.errors import StoreError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
instants = st.integers(min_value=0, max_value=6_900_000_000_000_000).map(lambda us: EPOCH + timedelta(microseconds=us))
numbers = st.integers(min_value=0, max_value=999)


def test_line_given_an_int_for_a_float_field_then_writes_a_float() -> None:
    text = line("m", {"pair": "BTC/USDT:USDT"}, {"x": 3, "n": 3}, kinds={"x": "float", "n": "int"}, at_ns=7)

    assert text == "m,pair=BTC/USDT:USDT x=3.0,n=3i 7"


def test_line_given_none_then_leaves_the_field_out() -> None:
    assert line("m", {}, {"x": None, "y": 1.5}, kinds={"x": "float", "y": "float"}, at_ns=7) == "m y=1.5 7"


def test_line_given_quotes_and_separators_then_escapes_them() -> None:
    text = line("m", {"tag": "a b,c=d"}, {"t": 'say "x"\\'}, kinds={"t": "text"}, at_ns=7)

    assert text == 'm,tag=a\\ b\\,c\\=d t="say \\"x\\"\\\\" 7'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_line_given_no_number_then_refuses(number: float) -> None:
    with pytest.raises(StoreError, match="is not finite"):
        line("m", {}, {"x": number}, kinds={"x": "float"}, at_ns=7)


@pytest.mark.parametrize(
    ("text", "held"), [("", "%"), ("a\nb", "a%0Ab"), ("a\\", "a%5C"), ("100%", "100%25"), ("BTC/USDT:USDT", "BTC/USDT:USDT")]
)
def test_line_given_what_a_tag_cannot_hold_then_writes_what_it_can(text: str, held: str) -> None:
    assert line("m", {"tag": text}, {"x": 1.0}, kinds={"x": "float"}, at_ns=7) == f"m,tag={held} x=1.0 7"


@given(text=st.text(st.characters(codec="utf-8")))
def test_text_of_tag_given_any_text_then_returns_it_and_nothing_breaks_the_line(text: str) -> None:
    held = tag_value(text)

    assert text_of_tag(held) == text
    assert held
    assert not {*held} & {"\\", "\n", "\r", "\0"}


@pytest.mark.parametrize("at", [EPOCH - timedelta(microseconds=1), datetime(2300, 1, 1, tzinfo=UTC)])
def test_point_ns_given_a_time_that_no_reader_looks_for_then_refuses(at: datetime) -> None:
    with pytest.raises(UnwritableError, match="between 1970 and 2200"):
        point_ns(at, 0)


@given(at=instants, number=numbers)
def test_point_ns_then_keeps_the_instant_and_survives_the_servers_text(at: datetime, number: int) -> None:
    at_ns = point_ns(at, number)

    assert instant_of_ns(at_ns) == at
    assert parse_ns(format_ns(at_ns)) == at_ns


@given(at=instants, first=numbers, second=numbers)
def test_point_ns_given_one_instant_then_is_in_the_order_of_the_numbers(at: datetime, first: int, second: int) -> None:
    assert (point_ns(at, first) < point_ns(at, second)) == (first < second)
    assert point_ns(at, first) < point_ns(at + timedelta(microseconds=1), second)


def test_field_parts_given_missing_values_then_writes_the_others() -> None:
    numbers, texts = pd.Series([1.5, float("nan")]), pd.Series(["a", None], dtype="str")

    assert joined(*field_parts("x", numbers, "float")).to_pylist() == [",x=1.5", ""]
    assert joined(*field_parts("t", texts, "text")).to_pylist() == [',t="a"', ""]


def test_field_parts_given_times_then_writes_them_as_a_line_does() -> None:
    at = EPOCH + timedelta(days=20_000, microseconds=7)
    column = pd.Series([pd.Timestamp(at), pd.Timestamp(EPOCH)], dtype="datetime64[us, UTC]")

    texts = joined(*field_parts("t", column, "time")).to_pylist()

    assert [datetime.fromisoformat(text[4:-1]) for text in texts] == [at, EPOCH]


def test_field_parts_given_an_infinite_number_then_refuses() -> None:
    with pytest.raises(StoreError, match="infinite"):
        field_parts("x", pd.Series([float("inf")]), "float")
