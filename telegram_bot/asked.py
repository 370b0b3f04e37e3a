"""Parse the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot3.trading.trades import RunMode

MOST = 366


class NotUnderstoodError(ValueError):
    """Raised for an invalid argument of a command; the text names the valid ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Parsed arguments of a command: the run mode of the trades, and a number of days, None if none was given."""

    mode: RunMode
    number: int | None


def asked_of(arguments: Sequence[str], *, default: RunMode) -> Asked:
    """Parse a run mode (`default` if none is given) and a number from 1 to 366, both optional, in any order; the last of several counts.

    Raises NotUnderstoodError for any other word.
    """
    mode, number = default, None
    for word in arguments:
        if word.lower() in set(RunMode):
            mode = RunMode(word.lower())
        elif word.isascii() and word.isdigit() and 0 < int(word) <= MOST:
            number = int(word)
        else:
            raise NotUnderstoodError(f"{word[:20]!r} is neither a run mode ({', '.join(RunMode)}) nor a number from 1 to {MOST}")
    return Asked(mode=mode, number=number)
