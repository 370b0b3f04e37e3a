"""Every test that docs/invariants.md names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
PROMISES = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise |")]


def named_by(line: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", line)


def is_defined(file: str, name: str) -> bool:
    path = ROOT / file
    if not path.is_file():
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.parse(path.read_text(encoding="utf-8")).body)


def test_invariants_given_each_promise_then_it_names_a_test() -> None:
    assert len(PROMISES) > 30
    assert [line for line in PROMISES if not named_by(line)] == []
    assert PAGE.count("`tests/") == sum(len(named_by(line)) for line in PROMISES)


def test_invariants_given_each_named_test_then_it_exists() -> None:
    assert [f"{file}::{name}" for line in PROMISES for file, name in named_by(line) if not is_defined(file, name)] == []


def test_is_defined_given_a_name_that_is_no_test_then_is_false() -> None:
    assert is_defined("tests/test_invariants.py", "test_is_defined_given_a_name_that_is_no_test_then_is_false")
    assert not is_defined("tests/test_invariants.py", "test_that_is_missing")
    assert not is_defined("tests/test_no_such_file.py", "test_x")
