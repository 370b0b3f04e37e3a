"""What the image of production installs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEVELOPMENT = {"hypothesis", "mypy", "playwright", "pytest", "pytest-xdist", "ruff", "import-linter", "pandas-stubs"}


def locked(name: str) -> dict[str, str]:
    """Return the version of each distribution of a lock file."""
    return dict(
        re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    )


def test_image_given_its_lock_then_installs_no_tool_of_development_and_the_tested_versions() -> None:
    tested, shipped = locked("requirements.lock"), locked("requirements-run.lock")

    assert "requirements-run.lock" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert tested.keys() >= DEVELOPMENT
    assert DEVELOPMENT & shipped.keys() == set()
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}
