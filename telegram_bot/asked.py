"""What was asked: a command's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot3.trading.trades import RunMode

MOST = 366


class NotUnderstoodError(ValueError):
    """An argument that a command does not know; the text says what it knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of which trades, and how many days; None where no number was given."""

    mode: RunMode
    number: int | None


def asked_of(arguments: Sequence[str], *, default: RunMode) -> Asked:
    """Return what arguments ask for: a run mode, a number, both in any order. Raises NotUnderstoodError."""
    mode, number = default, None
    for word in arguments:
        if word.lower() in set(RunMode):
            mode = RunMode(word.lower())
        elif word.isascii() and word.isdigit() and 0 < int(word) <= MOST:
            number = int(word)
        else:
            raise NotUnderstoodError(f"{word[:20]!r} is neither a run mode ({', '.join(RunMode)}) nor a number from 1 to {MOST}")
    return Asked(mode=mode, number=number)
