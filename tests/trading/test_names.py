"""Names from other programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.replay.groups import group_key, group_of_key
from bot3.trading.names import LONGEST_NAME, pair_problem, shown_name, text_problem


@pytest.mark.parametrize("pair", ["BTC/USDT:USDT", "BTC USDT", "Ä/é", "*/*", "x" * 100])
def test_pair_problem_given_a_name_that_is_safe_everywhere_then_there_is_none(pair: str) -> None:
    assert pair_problem(pair) is None


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        (None, "has no pair"),
        (7, "has no pair"),
        ("", "has no pair"),
        ("  ", "has no pair"),
        ("x" * 101, "longer than 100"),
        ("*", "reserved"),
        (" BTC", "leading or trailing space"),
        ("BTC ", "leading or trailing space"),
        ("BTC|long", "a bar"),
        ("BTC\\", "a backslash"),
        ("BTC\nUSDT", "a line break"),
        ("BTC\u2028", "a line break"),
        ("BTC\u200b", "invisible"),
        ("BTC\ud800", "invisible"),
    ],
)
def test_pair_problem_given_a_name_that_is_unsafe_somewhere_then_says_why(pair: object, problem: str) -> None:
    assert problem in str(pair_problem(pair))


@given(st.text(max_size=120))
def test_pair_problem_given_any_valid_name_then_it_is_its_own_line_and_part_of_a_key(pair: str) -> None:
    if pair_problem(pair) is None:
        assert pair.splitlines() == [pair]
        assert group_of_key(group_key((pair, "long", "1.0-2.0")))[0] == pair


def test_text_problem_given_a_nul_character_then_only_that_one_is() -> None:
    assert [text_problem(text) for text in (None, "", "a\nb")] == [None, None, None]
    assert "NUL" in str(text_problem("a\0b"))


def test_shown_name_given_a_long_one_with_invisible_characters_then_is_one_visible_line() -> None:
    assert shown_name("a\nb\u200bc") == "a\\nb\\u200bc"
    assert shown_name(None) == "None"
    assert shown_name("x" * LONGEST_NAME) == "x" * 100
    assert shown_name("x" * 101) == "x" * 100 + " ..."


@given(st.text())
def test_shown_name_given_any_text_then_is_printable(text: str) -> None:
    assert shown_name(text).isprintable()
