"""What the doctor found, and what it looks at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from bot3.cli.supervisor import is_same_process
from bot3.wiring import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_good: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Parameters
    ----------
    is_served : bool
        Whether services should run: then one that does not is a bad finding.
    web : str
        Address of Dagster's web server.
    """

    platform: Platform
    is_served: bool
    web: str


Look = Callable[[str, Patient], Finding]
"""Looks at one subject, by its name."""


def good(subject: str, detail: str) -> Finding:
    """Return what is as it should be."""
    return Finding(subject=subject, is_good=True, detail=detail)


def bad(subject: str, detail: str, *, remedy: str) -> Finding:
    """Return what is not, and what mends it."""
    return Finding(subject=subject, is_good=False, detail=detail, remedy=remedy)


def is_supervised(platform: Platform) -> bool:
    """Say whether `bot3 up` runs for this home."""
    state_file = platform.settings.home / "run" / "supervisor.json"
    return state_file.exists() and is_same_process(json.loads(state_file.read_text(encoding="utf-8"))["supervisor"])
