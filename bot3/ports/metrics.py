"""Numbers for a monitoring system."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What may become of a number: a gauge goes up and down, a counter only up but for a restart."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric with its samples; a sample that could not be asked is not among them.

    Parameters
    ----------
    name : str
        With the prefix `bot3_`, in base units; a counter's without `_total`.
    labels : tuple of str
        Names of the labels, each of few values: bots, processes, run modes; never trades.
    samples : mapping
        Values of the labels, in their order, to the number.
    """

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)


class Measured(Protocol):
    """What is asked each time somebody reads the numbers."""

    def families(self) -> list[Family]:
        """Ask everything anew. Never raises for what cannot be asked: that is left out and counted."""
        ...

    def is_ready(self) -> bool:
        """Say whether the stores answer."""
        ...
