"""Fixtures: homes, and Dagster instances in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from bot3.wiring import Platform
from bot3_assets.definitions import defs
from bot3_assets.resources import PlatformResource, close_platforms
from tests.seeded import copy_of_home, seeded_home


@pytest.fixture(scope="session")
def location() -> dg.Definitions:
    return defs


@pytest.fixture(autouse=True)
def living_instance() -> Iterator[None]:
    """Keep an instance open: Dagster caches the last opened one, and that of another test file may have been deleted."""
    with dg.DagsterInstance.ephemeral():
        yield


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def seeded() -> Iterator[PlatformResource]:
    """Yield the shared home, for reading only."""
    with opened(seeded_home()) as resource:
        yield resource


@pytest.fixture
def resource(tmp_path: Path) -> Iterator[PlatformResource]:
    """Yield a separate copy of the home that the test may change."""
    with opened(copy_of_home(tmp_path)) as resource:
        yield resource


@pytest.fixture
def platform(resource: PlatformResource) -> Platform:
    return resource.platform()


@contextmanager
def opened(home: Path) -> Iterator[PlatformResource]:
    """Yield a platform resource of a home for assets and sensors; close everything at the end, as the end of a process does."""
    try:
        yield PlatformResource(home=str(home))
    finally:
        close_platforms()
