"""The five leverage bins that learning groups trades by."""

from __future__ import annotations

import math

from bot3.errors import InvalidTradeError

LEVERAGE_BIN_EDGES = (1.0, 2.0, 3.5, 5.0, 7.5, 10.0)
LEVERAGE_BINS = ("1.0-2.0", "2.0-3.5", "3.5-5.0", "5.0-7.5", "7.5-10.0")
ABOVE_BINS = "10.0+"
"""Label of trades of other programs above the last bin: they are real trades, and nothing is learned from them."""


def leverage_bin(leverage: float) -> str:
    """Return the bin of a leverage: lower edge in, upper edge out, 10.0 in the last.

    Raises
    ------
    InvalidTradeError
        If the leverage is outside 1 to 10 or not a number.
    """
    if not LEVERAGE_BIN_EDGES[0] <= leverage <= LEVERAGE_BIN_EDGES[-1]:
        raise InvalidTradeError(f"leverage must be from 1 to 10, was {leverage}")
    index = sum(leverage >= edge for edge in LEVERAGE_BIN_EDGES[1:-1])
    return LEVERAGE_BINS[index]


def recorded_bin(leverage: float) -> str:
    """Return the label that the record keeps for a trade: its bin, or `ABOVE_BINS`.

    Raises
    ------
    InvalidTradeError
        If the leverage is below 1, infinite or not a number.
    """
    return ABOVE_BINS if LEVERAGE_BIN_EDGES[-1] < leverage < math.inf else leverage_bin(leverage)
