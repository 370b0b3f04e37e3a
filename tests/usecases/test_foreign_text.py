"""Texts of other programs are shown as they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot3.usecases.foreign_text import plain, visible

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ODD = [
    "[/red] [bold]x",
    "[/] [link=http://x]",
    "[red]X[/red]/USDT:USDT",
    "<script>alert(1)</script>",
    "**bold** _it_ `code` ~~no~~ $x$ :red[x] :material/bug: ![i](http://x/y.png) | a | b |",
    "# title",
    "- item",
    "1. item",
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[31mHACK", "\\x1b[2J\\x1b[31mHACK"),
        ("a\x00b\nnew\tline", "a\\x00b\\nnew\\tline"),
        ("\u4e70\u5165\U0001f680\u202eevil", "\u4e70\u5165\U0001f680\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"),
    ],
)
def test_visible_given_control_characters_then_writes_them_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_visible_given_characters_to_keep_then_keeps_them() -> None:
    assert visible("a\n\x1bb", keep="\n") == "a\n\\x1bb"


@given(st.text())
def test_visible_given_any_text_then_commands_no_terminal(text: str) -> None:
    shown = visible(text)

    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or 0x202A <= ord(char) <= 0x202E for char in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ODD)
def test_plain_given_markup_then_it_is_shown_as_text(text: str) -> None:
    (paragraph,) = [token for token in MARKDOWN.parse(plain(text)) if token.type == "inline"]

    assert {child.type for child in paragraph.children or ()} <= {"text", "text_special"}
    assert "".join(child.content for child in paragraph.children or ()).replace("\u2060", "") == text


def test_plain_given_a_cell_of_a_table_then_it_stays_one_cell() -> None:
    html = MARKDOWN.render(f"| a | b |\n|---|---|\n| {plain('x | y')} | z |\n")

    assert "<td>x | y</td>" in html


OPENERS = "`*_[]<$~{}"


@given(st.text(max_size=60))
def test_plain_given_any_text_then_opens_no_markup_and_stays_on_one_line(text: str) -> None:
    found = plain(text)

    assert not re.search(rf"(?<!\\)(\\\\)*[{re.escape(OPENERS)}]", found)
    assert not re.search(r":[a-z+\-]", found)
    assert len(found.splitlines()) <= 1
    shown = re.sub(r"\\(.)", r"\1", found).replace("\N{WORD JOINER}", "")
    assert shown == visible(" ".join(text.split())).replace("\N{WORD JOINER}", "")
