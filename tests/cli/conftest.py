"""Homes for commands: one to look at, one to change, none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seeded import copy_of_home, seeded_home


@pytest.fixture
def seeded() -> Path:
    """Return the shared home, to look at."""
    return seeded_home()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home of the test's own, to change."""
    return copy_of_home(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Return where a home could be."""
    return tmp_path / "home"
