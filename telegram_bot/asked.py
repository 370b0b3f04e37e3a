"""Parse the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot3.trading.trades import RunMode

MOST = 366


class NotUnderstoodError(ValueError):
    """Raised for an invalid argument; the text lists the valid ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The parsed arguments: the run mode of the trades, and a number (of days), which is None if none was given."""

    mode: RunMode
    number: int | None


def asked_of(arguments: Sequence[str], *, default: RunMode) -> Asked:
    """Parse arguments: a run mode and a number, both optional, in any order. Raises NotUnderstoodError for anything else."""
    mode, number = default, None
    for word in arguments:
        if word.lower() in set(RunMode):
            mode = RunMode(word.lower())
        elif word.isascii() and word.isdigit() and 0 < int(word) <= MOST:
            number = int(word)
        else:
            raise NotUnderstoodError(f"{word[:20]!r} is neither a run mode ({', '.join(RunMode)}) nor a number from 1 to {MOST}")
    return Asked(mode=mode, number=number)
