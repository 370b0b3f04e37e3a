"""The Makefile's environment: whose Python makes it, and when it is made again. No recipe is run but the refusal."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CREATES = "-m venv --clear .venv"


def a_python(path: Path, version: str) -> Path:
    """Make a program that answers with a version, as `python -c` does to the Makefile's question."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose environment is ready, made by Python 3.11."""
    for name in ("requirements.lock", "requirements-uv.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    a_python(tmp_path / ".venv" / "bin" / "python", "3.11")
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, whatever make and PYTHON these tests were started with."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(["make", *arguments, "down"], cwd=checkout, env=own, capture_output=True, text=True, check=False, timeout=30)


def would_do(checkout: Path, *given: str) -> str:
    ended = make(checkout, "-n", *given)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_make_given_another_python_then_creates_the_environment_with_it(checkout: Path) -> None:
    asked = a_python(checkout / "python3.12", "3.12")

    assert f"{asked} {CREATES}" in would_do(checkout, f"PYTHON={asked}")


def test_make_given_the_python_of_the_environment_or_none_then_keeps_it(checkout: Path) -> None:
    same = a_python(checkout / "python3.11", "3.11")

    assert CREATES not in would_do(checkout, f"PYTHON={same}")
    assert CREATES not in would_do(checkout)


def test_make_given_a_python_that_is_not_supported_then_says_which_are_and_keeps_the_environment(checkout: Path) -> None:
    refused = a_python(checkout / "python3.14", "3.14")
    refused.write_text(f"{refused.read_text()}exit 1\n")

    ended = make(checkout, f"PYTHON={refused}")

    assert (ended.returncode, "Python 3.11, 3.12 or 3.13 is needed" in ended.stderr) == (2, True)
    assert (checkout / ".venv" / ".ready").exists()
