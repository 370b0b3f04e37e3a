"""Metrics for a monitoring system."""

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
        Starts with `bot3_` and names the base unit; a counter's name is given without `_total`.
    labels : tuple of str
        Names of the labels, each with few values: bots, processes, run modes; never trades.
    samples : mapping
        Measured value by the values of the labels, in the order of `labels`.
    """

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)


class Measured(Protocol):
    """The source of the metrics, queried at each request."""

    def families(self) -> list[Family]:
        """Query all metrics and return them. A failed query raises no error: its samples are left out, and the failure is counted."""
        ...

    def is_ready(self) -> bool:
        """Return whether the stores respond."""
        ...
