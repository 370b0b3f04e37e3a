"""Leverage bins by which learning groups trades: consecutive ranges of leverage, given by their edges.

A bin's name contains its edges ("2.0-3.5"), so that a published row or a list of open bins is complete without further settings.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from bot3.errors import InvalidTradeError

LEVERAGE_STEPS = 100
"""Steps of leverage per unit: leverage is chosen in hundredths."""
HIGHEST_LEVERAGE = 125.0
"""Largest possible edge: no exchange offers more."""

LeverageSpan = tuple[float, float]
"""Lowest and highest leverage that may be chosen, both included, with at most two decimal places (2.0 and 3.49)."""


@dataclass(frozen=True, slots=True)
class LeverageBins:
    """The bins of one home.

    Parameters
    ----------
    edges : tuple of float
        At least two, ascending, whole hundredths from 1 to `HIGHEST_LEVERAGE`. A bin includes its lower edge and excludes its upper one,
        except the last bin, which includes both.

    Raises
    ------
    InvalidTradeError
        If the edges are invalid.
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        is_ascending = len(self.edges) > 1 and all(low < high for low, high in pairwise(self.edges))
        # NaN compares false with both bounds.
        if not (is_ascending and all(1.0 <= edge <= HIGHEST_LEVERAGE and _is_hundredth(edge) for edge in self.edges)):
            shown = ", ".join(f"{edge:g}" for edge in self.edges) or "none"
            raise InvalidTradeError(
                f"the edges of leverage bins must be at least two numbers from 1 to {HIGHEST_LEVERAGE:g}, ascending, in whole hundredths, "
                f"such as 1,2,4,8; were {shown}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the bins, lowest first."""
        return tuple(f"{float(low)}-{float(high)}" for low, high in pairwise(self.edges))

    @property
    def lowest(self) -> float:
        """Return the lowest leverage of the first bin."""
        return self.edges[0]

    @property
    def highest(self) -> float:
        """Return the highest leverage of the last bin."""
        return self.edges[-1]

    @property
    def outside(self) -> tuple[str, ...]:
        """Return the labels of trades below the first bin, if that is possible, and above the last one."""
        below = (f"<{float(self.lowest)}",) if self.lowest > 1.0 else ()
        return (*below, f"{float(self.highest)}+")

    def name_of(self, leverage: float) -> str:
        """Return the bin of a leverage.

        Raises
        ------
        InvalidTradeError
            If the leverage is outside all bins, or NaN.
        """
        if not self.lowest <= leverage <= self.highest:
            raise InvalidTradeError(f"leverage must be from {self.lowest:g} to {self.highest:g}, was {leverage}")
        return self.names[sum(leverage >= edge for edge in self.edges[1:-1])]

    def label_of(self, leverage: float) -> str:
        """Return a trade's label in the record: its bin, or one of `outside`.

        Raises
        ------
        InvalidTradeError
            If the leverage is below 1, infinite or NaN.
        """
        if not 1.0 <= leverage < math.inf:
            raise InvalidTradeError(f"leverage must be at least 1, was {leverage}")
        if leverage < self.lowest:
            return self.outside[0]
        return self.outside[-1] if leverage > self.highest else self.name_of(leverage)

    def spans(self, names: Collection[str], *, highest: float) -> tuple[LeverageSpan, ...]:
        """Return the selectable leverage of some bins, one span a bin, lowest first; a bin entirely above `highest` has none.

        Parameters
        ----------
        names : collection of str
            Names of bins; those of other bins are ignored.
        highest : float
            Lowest of the caps; not necessarily a whole hundredth.
        """
        spans = []
        for name, (low, high) in zip(self.names, pairwise(self.edges), strict=True):
            if name in names and low <= highest:
                top = high if high == self.highest else (round(high * LEVERAGE_STEPS) - 1) / LEVERAGE_STEPS
                spans.append((low, min(top, _hundredths_below(min(highest, self.highest)))))
        return tuple(spans)

    def of_range(self, low: float, high: float) -> tuple[str, ...]:
        """Return the bins that overlap a range of leverage; an upper end on an edge does not include the bin above it."""
        return tuple(
            name
            for name, (edge, top) in zip(self.names, pairwise(self.edges), strict=True)
            if name == self.name_of(low) or (low < top and edge < high)
        )


def edges_of_bin(name: str) -> tuple[float, float] | None:
    """Return the edges that a bin's name contains; None for any other text."""
    try:
        low, high = map(float, name.split("-"))
        return (low, high) if LeverageBins((low, high)).names == (name,) else None
    except (ValueError, InvalidTradeError):
        return None


def are_separate(names: Iterable[str]) -> bool:
    """Return whether texts are names of bins, lowest first, of which no two overlap."""
    spans = [edges_of_bin(name) for name in names]
    found = [span for span in spans if span is not None]
    return len(found) == len(spans) and all(before[1] <= after[0] for before, after in pairwise(found))


def bin_order(label: str) -> tuple[float, float]:
    """Return the sort key of a bin's name, by its edges; any other label comes first."""
    return edges_of_bin(label) or (0.0, 0.0)


def is_outside(label: str) -> bool:
    """Return whether a label of the record means outside of all bins: such trades are recorded, but nothing is learned from them."""
    return label.startswith("<") or label.endswith("+")


def _is_hundredth(leverage: float) -> bool:
    # Exactly: a name contains the edge, and selectable leverages are computed as this quotient.
    return round(leverage * LEVERAGE_STEPS) / LEVERAGE_STEPS == leverage


def _hundredths_below(leverage: float) -> float:
    """Return the highest whole hundredth not above a leverage."""
    count = round(leverage * LEVERAGE_STEPS)
    return (count if count / LEVERAGE_STEPS <= leverage else count - 1) / LEVERAGE_STEPS


DEFAULT_BINS = LeverageBins((1.0, 2.0, 3.5, 5.0, 7.5, 10.0))
"""The bins of a home whose settings name no others, and of every release before they could be set."""
