"""Foreign text in Markdown reads as itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.markdown import plain

OPENERS = "`*_[]<$~{}"


@pytest.mark.parametrize("text", ["BTC/USDT:USDT", "F07", "GRID-7", "stop_loss", "[/red] [bold]x", "$a$ and `b` <script>", "| a | b |"])
def test_plain_given_a_text_then_it_reads_as_itself(text: str) -> None:
    assert plain(text).replace("\\", "") == text


@given(st.text(max_size=60))
def test_plain_given_any_text_then_opens_no_markup_and_stays_on_one_line(text: str) -> None:
    found = plain(text)

    assert not re.search(rf"(?<!\\)(\\\\)*[{re.escape(OPENERS)}]", found)
    assert not re.search(r":[a-z+\-]", found)
    assert len(found.splitlines()) <= 1
    shown = re.sub(r"\\(.)", r"\1", found).replace("\N{WORD JOINER}", "")
    assert shown == " ".join(text.split()).replace("\N{WORD JOINER}", "")
