"""Texts of other programs (pairs, tags, reasons, file names), shown as they are: they command no terminal and are no markup."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_BIDI = {*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Marks that reorder the text around them."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&@^=])|(?<!\w)([-.])|(?<=www)(\.)")
_NUMBERED = re.compile(r"^(\d+)(?=\.)")
# Streamlit replaces :smile:, :material/home: and :red[x] after it has resolved escapes: a word joiner, which has no width, breaks the name.
_NAMED = re.compile(r":(?=[a-z+\-])")


def visible(text: str, *, keep: str = "") -> str:
    """Return a text whose control characters are written out as escapes, but for those in `keep`."""
    if text.isprintable():
        # Marks that reorder are not printable to Python either.
        return text
    return "".join(_written_out(char) if char not in keep and _is_control(char) else char for char in text)


def plain(text: object) -> str:
    """Return a text as Markdown (of Streamlit and Dagster) that reads as the text itself, on one line and in a table's cell."""
    shown = visible(" ".join(str(text).split()))
    escaped = _SPECIAL.sub(lambda found: f"\\{found.group()}", shown)
    return _NAMED.sub(":\N{WORD JOINER}", _NUMBERED.sub(r"\1\\", escaped))


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES or char in _BIDI


def _written_out(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or char.encode("unicode_escape", "backslashreplace").decode("ascii")
