"""Foreign text inside Markdown: pairs, tags, reasons, names and errors are shown as they are, never as markup."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&@^=])|(?<!\w)([-.])|(?<=www)(\.)")
# Streamlit replaces :smile:, :material/home: and :red[x] after it has resolved escapes: a word joiner, which has no width, breaks the name.
_NAMED = re.compile(r":(?=[a-z+\-])")


def plain(text: object) -> str:
    """Return a text as Markdown that reads as the text itself, on one line."""
    escaped = _SPECIAL.sub(lambda found: f"\\{found.group()}", " ".join(str(text).split()))
    return _NAMED.sub(":\N{WORD JOINER}", escaped)
