"""Rules of single values of a stored row: each returns the requirement that a value violates, or an empty text if it is valid."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from bot3.trading.leverage_bins import DEFAULT_BINS, edges_of_bin
from bot3.trading.parameters import ANY
from bot3.trading.trade_classes import bin_of

Rule = Callable[[Any], str]
FINITE = sys.float_info.max


def number(low: float, high: float, *, is_optional: bool = False) -> Rule:
    """Return the rule of a finite number between two bounds, both included."""
    wanted = f"must be a number from {low:g} to {high:g}" if high < FINITE else f"must be a finite number from {low:g}"

    def wrong(value: Any) -> str:
        if value is None and is_optional:
            return ""
        # NaN compares false with both bounds.
        is_inside = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return "" if is_inside else wanted

    return wrong


def whole_number(low: int = 0, *, is_optional: bool = False) -> Rule:
    """Return the rule of a whole number from a lower bound to the largest one that a database stores."""

    def wrong(value: Any) -> str:
        if value is None and is_optional:
            return ""
        is_count = isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63
        return "" if is_count else f"must be a whole number from {low}"

    return wrong


def one_of(options: Iterable[str]) -> Rule:
    """Return the rule of a text that is one of some options."""
    known = frozenset(map(str, options))

    def wrong(value: Any) -> str:
        return "" if isinstance(value, str) and value in known else f"must be one of {', '.join(sorted(known))}"

    return wrong


def optional_flag(value: Any) -> str:
    """Require true, false or None."""
    return "" if value is None or isinstance(value, bool) else "must be true, false or missing"


def nonempty_text(value: Any) -> str:
    """Require a text that is not empty."""
    return "" if isinstance(value, str) and value else "must be a text"


def text_or_empty(value: Any) -> str:
    """Require a text."""
    # Records of older releases contain pairs with an empty name; one such row must not invalidate all others.
    return "" if isinstance(value, str) else "must be a text"


def bin_or_any(value: Any) -> str:
    """Require the name of a leverage bin, or the wildcard, followed by "@" and a horizon unless that is 24 h."""
    # A bin's name contains its edges: a row is valid without the settings of its home.
    try:
        name = bin_of(value) if isinstance(value, str) else ""
    except ValueError:
        name = ""
    is_bin = name == ANY or edges_of_bin(name) is not None
    return "" if is_bin else f"must be a leverage bin such as {DEFAULT_BINS.names[0]}, or {ANY}, also followed by a horizon such as @7d"


def aware_time(value: Any) -> str:
    """Require a time with its zone."""
    return "" if isinstance(value, datetime) and value.tzinfo is not None else "must be a time with its zone"
