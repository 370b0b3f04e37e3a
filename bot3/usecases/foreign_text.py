"""Display texts of other programs (pairs, tags, reasons, file names) as they are: no terminal control code or markup in them has effect."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_BIDI = {*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Unicode marks that reorder the text around them."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&@^=])|(?<!\w)([-.])|(?<=www)(\.)")
_NUMBERED = re.compile(r"^(\d+)(?=\.)")
# Streamlit replaces :smile:, :material/home: and :red[x] after it has resolved escapes: a word joiner, which has no width, breaks the name.
_NAMED = re.compile(r":(?=[a-z+\-])")


def visible(text: str, *, keep: str = "") -> str:
    """Return a text in which escape sequences replace control characters, line separators, surrogates and marks that reorder text.

    Characters in `keep` are not replaced.
    """
    if text.isprintable():
        # `isprintable` is also False for marks that reorder text.
        return text
    return "".join(_written_out(char) if char not in keep and _is_control(char) else char for char in text)


def plain(text: object) -> str:
    """Return Markdown that Streamlit and Dagster display as the given text itself, on one line; it may be used in a table's cell.

    Runs of white space become one space, control characters become escapes, and markup characters are escaped.
    """
    shown = visible(" ".join(str(text).split()))
    escaped = _SPECIAL.sub(lambda found: f"\\{found.group()}", shown)
    return _NAMED.sub(":\N{WORD JOINER}", _NUMBERED.sub(r"\1\\", escaped))


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES or char in _BIDI


def _written_out(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or char.encode("unicode_escape", "backslashreplace").decode("ascii")
