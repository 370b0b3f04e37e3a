"""Validate pairs and texts from other programs, and escape them for messages."""

from __future__ import annotations

import unicodedata

from bot3.trading.parameters import ANY

LONGEST_NAME = 100
_RESERVED = frozenset({"|", "\\"})
"""The bar separates pair, direction and bin in the key of a group of trades; a tag in InfluxDB cannot end with a backslash."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control and format characters, surrogates, line and paragraph separators."""


def pair_problem(pair: object) -> str | None:
    """Return why a value is invalid as the name of a pair; None if it is valid.

    A pair is used in a group's key, as a tag in InfluxDB and in messages: a valid name is safe in all of them.
    """
    if not isinstance(pair, str) or not pair.strip():
        return "it has no pair"
    if len(pair) > LONGEST_NAME:
        return f"its pair is longer than {LONGEST_NAME} characters"
    if pair == ANY:
        return f"its pair is {ANY!r}, which is reserved for all pairs"
    if pair != pair.strip() or any(character in _RESERVED or unicodedata.category(character) in _INVISIBLE for character in pair):
        return "its pair contains a bar, a backslash, a line break, an invisible character, or a leading or trailing space"
    return None


def text_problem(text: str | None) -> str | None:
    """Return why a free text cannot be stored; None if it can be stored, or is None."""
    return "it contains a NUL character, which PostgreSQL cannot store" if text is not None and "\0" in text else None


def shown_name(name: object) -> str:
    """Format a name from another program for a message: one line, at most `LONGEST_NAME` characters of it, no invisible characters."""
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(name)[:LONGEST_NAME])
    return f"{text} ..." if len(str(name)) > LONGEST_NAME else text
