"""Fixture: a PostgreSQL server with the roles of production, started once for each session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.deploy.production import Production, production
from tests.servers.postgres import MISSING, find_program


@pytest.fixture(scope="session")
def live_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    if find_program("initdb") is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with production(tmp_path_factory.mktemp("production")) as made:
        yield made
