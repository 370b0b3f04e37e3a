"""Numbers for a monitoring system."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """Type of a metric: a gauge increases and decreases; a counter only increases, except after a restart."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric with its samples; a sample whose query failed is left out.

    Parameters
    ----------
    name : str
        With the prefix `bot3_`, in base units; a counter's without `_total`.
    labels : tuple of str
        Names of the labels, each with few values: bots, processes, run modes; never trades.
    samples : mapping
        Values of the labels, in their order, to the number.
    """

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)


class Measured(Protocol):
    """The source of the metrics, queried at each request."""

    def families(self) -> list[Family]:
        """Query all metrics again. Never raises if a query fails: its metric is left out, and the failure is counted."""
        ...

    def is_ready(self) -> bool:
        """Return whether the stores respond."""
        ...
