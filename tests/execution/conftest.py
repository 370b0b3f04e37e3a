"""Fixtures: trading floors that are closed at the end of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, Rows, a_floor, wobble


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Print tracebacks without the values of every frame, because those of a daemon take seconds to print."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()


@pytest.fixture
def open_floor(tmp_path: Path) -> Iterator[OpenFloor]:
    """Return a function that opens floors, each on its own home."""
    opened: list[Floor] = []

    def open_it(rows: Rows | None = None, **changes: Any) -> Floor:
        home = tmp_path / f"home{len(opened)}"
        home.mkdir()
        opened.append(a_floor(home, wobble(60) if rows is None else rows, **changes))
        return opened[-1]

    yield open_it
    for floor in opened:
        floor.close()


@pytest.fixture
def entered(open_floor: OpenFloor) -> Floor:
    """Return a floor with one long position that has its stop and target."""
    floor = open_floor()
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    return floor
