"""Texts of other programs (pairs, tags, reasons, file names), shown as they are: they command no terminal and are no markup."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_BIDI = {*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Marks that reorder the text around them."""
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_EMOJI = re.compile(r":(?=[\w+-]+:)")
_WORD_JOINER = "\N{WORD JOINER}"


def visible(text: str, *, keep: str = "") -> str:
    """Return a text whose control characters are written out as escapes, but for those in `keep`."""
    if text.isprintable():
        # Marks that reorder are not printable to Python either.
        return text
    return "".join(_written_out(char) if char not in keep and _is_control(char) else char for char in text)


def as_markdown(text: str) -> str:
    """Return a text that Markdown (of Streamlit and Dagster) shows as it is, in one line and in a table's cell."""
    # An escaped colon still makes an emoji of :x:, a joiner between them does not.
    joined = _EMOJI.sub(f":{_WORD_JOINER}", visible(text))
    return _PUNCTUATION.sub(r"\\\1", joined)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES or char in _BIDI


def _written_out(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or char.encode("unicode_escape", "backslashreplace").decode("ascii")
