"""Fixtures: homes for commands, one read-only, one to change, one missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seeded import copy_of_home, seeded_home


@pytest.fixture
def seeded() -> Path:
    """Return the shared home, for reading only."""
    return seeded_home()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a separate copy of the home that the test may change."""
    return copy_of_home(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Return the path of a home that does not exist."""
    return tmp_path / "home"
