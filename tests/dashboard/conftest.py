"""Fixtures: a filled home, created once, and pages run without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from tests.dashboard.homes import make_home


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("filled")
    make_home(home)
    return home


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    # Settings and the opened home are cached for each process.
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()
