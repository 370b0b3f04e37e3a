"""The five leverage bins by which learning groups trades."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise

from bot3.errors import InvalidTradeError

LEVERAGE_BIN_EDGES = (1.0, 2.0, 3.5, 5.0, 7.5, 10.0)
LEVERAGE_BINS = tuple(f"{low}-{high}" for low, high in pairwise(LEVERAGE_BIN_EDGES))
ABOVE_BINS = "10.0+"
"""Label of trades of other programs with a leverage above 10: they are in the record, but nothing is learned from them."""
LEVERAGE_STEPS = 100
"""Steps of leverage per unit: leverage is chosen in hundredths."""

LeverageSpan = tuple[float, float]
"""Lowest and highest leverage that may be chosen, in hundredths, both included."""


def leverage_bin(leverage: float) -> str:
    """Return the bin of a leverage: the lower edge is included, the upper one excluded, except 10.0 in the last bin.

    Raises
    ------
    InvalidTradeError
        If the leverage is outside 1 to 10 or NaN.
    """
    if not LEVERAGE_BIN_EDGES[0] <= leverage <= LEVERAGE_BIN_EDGES[-1]:
        raise InvalidTradeError(f"leverage must be from 1 to 10, was {leverage}")
    index = sum(leverage >= edge for edge in LEVERAGE_BIN_EDGES[1:-1])
    return LEVERAGE_BINS[index]


def recorded_bin(leverage: float) -> str:
    """Return the bin of a trade in the record, `ABOVE_BINS` for a leverage above 10.

    Raises
    ------
    InvalidTradeError
        If the leverage is below 1, infinite or NaN.
    """
    return ABOVE_BINS if LEVERAGE_BIN_EDGES[-1] < leverage < math.inf else leverage_bin(leverage)


def leverage_spans(bins: Collection[str], *, highest: float = LEVERAGE_BIN_EDGES[-1]) -> tuple[LeverageSpan, ...]:
    """Return the selectable leverage of some bins, one span a bin, lowest first; a bin entirely above `highest` has none.

    Parameters
    ----------
    bins : collection of str
        Members of `LEVERAGE_BINS`.
    highest : float
        Highest leverage that may be chosen, at least 1; not necessarily a whole hundredth.
    """
    spans = []
    for name, (low, high) in zip(LEVERAGE_BINS, pairwise(LEVERAGE_BIN_EDGES), strict=True):
        if name in bins and low <= highest:
            top = high if name == LEVERAGE_BINS[-1] else (round(high * LEVERAGE_STEPS) - 1) / LEVERAGE_STEPS
            spans.append((low, min(top, _hundredths_below(highest))))
    return tuple(spans)


def bins_of_range(low: float, high: float) -> tuple[str, ...]:
    """Return the bins that overlap a range of leverage; an upper end on an edge does not include the bin above it.

    Recommendations published before `open_bins` existed contain only such a range.
    """
    return tuple(
        name
        for name, (edge, top) in zip(LEVERAGE_BINS, pairwise(LEVERAGE_BIN_EDGES), strict=True)
        if name == leverage_bin(low) or (low < top and edge < high)
    )


def _hundredths_below(leverage: float) -> float:
    """Return the highest whole hundredth not above a leverage, at most 10."""
    leverage = min(leverage, LEVERAGE_BIN_EDGES[-1])
    count = round(leverage * LEVERAGE_STEPS)
    return (count if count / LEVERAGE_STEPS <= leverage else count - 1) / LEVERAGE_STEPS
