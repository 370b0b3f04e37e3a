"""Break the rules on purpose, one change at a time, and count how many changes the tests notice.

    python -m tests.mutation [--count 200] [--seed 1] [--only trading/units] [--timeout-s 300]

Each mutant is one changed operator, constant or condition in a copy of the repository; the test files of its module run on it.
A mutant is killed when a test fails or does not end in time. Prints JSON: `score` is the share that was killed, `survived` lists the rest.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TESTS: dict[str, tuple[str, ...]] = {
    "bot3/trading/sizing.py": ("tests/trading/test_sizing.py", "tests/trading/test_leverage_bins.py", "tests/trading/test_decide.py"),
    "bot3/trading/exits.py": ("tests/trading/test_exits.py", "tests/trading/test_decide.py", "tests/trading/test_backtest.py"),
    "bot3/trading/costs.py": ("tests/trading/test_costs.py", "tests/trading/test_units.py"),
    "bot3/trading/units.py": ("tests/trading/test_units.py", "tests/trading/test_exits.py"),
    "bot3/trading/figures.py": ("tests/trading/test_money_figures.py", "tests/trading/test_intervals.py"),
    "bot3/trading/matching.py": (
        "tests/trading/test_matching.py",
        "tests/trading/test_compiled_rules.py",
        "tests/trading/test_backtest.py",
    ),
    "bot3/learning/replay": (
        "tests/learning/replay",
        "tests/learning/parameters/test_learner.py",
        "tests/usecases/learning/test_replay_trades.py",
    ),
    "bot3/learning/pooling": ("tests/learning/pooling", "tests/learning/parameters/test_learner.py"),
    "bot3/adapters/sql": ("tests/adapters/sql", "tests/ports", "tests/adapters/test_older_recommendations.py"),
}
"""Modules or folders whose rules are mutated, and the tests that must notice."""
NOT_MUTATED = {"migrations", "tables.py", "__init__.py"}
"""Declarations: a schema is compared with the migrations as a whole (`tests/adapters/sql/test_engine.py`)."""
_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATE: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: the file, the line, the text before and after, and the file's new text."""

    path: str
    line: int
    before: str
    after: str
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file can be changed: the number of the node in the order of `ast.walk`."""

    path: str
    number: int


def places(path: str) -> list[Place]:
    """Return every place of a file that can be changed, apart from annotations, docstrings and the texts of errors."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) for part in _unnoticed(node) for inner in ast.walk(part)}
    return [Place(path, number) for number, node in enumerate(ast.walk(tree)) if id(node) not in skipped and _change_of(node) is not None]


def mutant_of(place: Place) -> Mutant:
    """Return the mutant of a place."""
    tree = ast.parse((ROOT / place.path).read_text(encoding="utf-8"))
    node: Any = next(node for number, node in enumerate(ast.walk(tree)) if number == place.number)
    before, line, change = ast.unparse(node), int(node.lineno), _change_of(node)
    assert change is not None  # `places` lists nodes with a change only
    for name, value in change.items():
        setattr(node, name, value)
    ast.fix_missing_locations(tree)
    return Mutant(path=place.path, line=line, before=before, after=ast.unparse(node), source=ast.unparse(tree))


def _unnoticed(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node whose change no test can notice."""
    parts = [getattr(node, name, None) for name in ("annotation", "returns")]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        parts.append(node)
    if isinstance(node, ast.Raise):
        parts.append(node.exc)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        parts.extend(node.decorator_list)
    return [part for part in parts if part is not None]


def _change_of(node: ast.AST) -> dict[str, Any] | None:  # noqa: C901, PLR0911  # one branch a kind of change
    """Return the attributes that a change gives to a node; None if there is no change for its kind."""
    match node:
        case ast.Compare() if type(node.ops[0]) in _COMPARE:
            return {"ops": [_COMPARE[type(node.ops[0])](), *node.ops[1:]]}
        case ast.BinOp() if type(node.op) in _OPERATE and not isinstance(node.left, ast.Constant | ast.JoinedStr):
            return {"op": _OPERATE[type(node.op)]()}
        case ast.AugAssign() if type(node.op) in _OPERATE:
            return {"op": _OPERATE[type(node.op)]()}
        case ast.BoolOp():
            return {"op": ast.Or() if isinstance(node.op, ast.And) else ast.And()}
        case ast.UnaryOp(op=ast.USub()):
            return {"op": ast.UAdd()}
        case ast.Constant(value=bool(value)):
            return {"value": not value}
        case ast.Constant(value=int(value)):
            return {"value": value + 1}
        case ast.Constant(value=float(value)) if math.isfinite(value):
            return {"value": value * 2.0 if value else 1.0}
        case ast.IfExp():
            return {"body": node.orelse, "orelse": node.body}
        case ast.If() | ast.While():
            return {"test": ast.UnaryOp(op=ast.Not(), operand=node.test)}
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            return {"func": ast.Name(id="max" if name == "min" else "min", ctx=ast.Load())}
    return None


def chosen(*, count: int, seed: int, only: str) -> list[Place]:
    """Return a seeded sample of places, the same number of each module as far as there are enough."""
    chance = random.Random(seed)  # noqa: S311  # a sample, no secret
    pools = []
    for module in TESTS:
        if only not in module:
            continue
        files = sorted((ROOT / module).rglob("*.py")) if (ROOT / module).is_dir() else [ROOT / module]
        mutable = [file for file in files if not {*file.parts, file.name} & NOT_MUTATED]
        found = [place for file in mutable for place in places(str(file.relative_to(ROOT)))]
        chance.shuffle(found)
        pools.append(found)
    taken: list[Place] = []
    while len(taken) < count and any(pools):
        taken.extend(pool.pop() for pool in pools if pool)
    return taken[:count]


def tests_of(path: str) -> tuple[str, ...]:
    """Return the tests that must notice a change of a file."""
    return next(tests for place, tests in TESTS.items() if path.startswith(place))


def is_killed(copy: Path, mutant: Mutant, *, timeout_s: float) -> bool:
    """Run the tests on a copy that holds a mutant; return whether one failed or did not end in time."""
    file = copy / mutant.path
    kept = file.read_text(encoding="utf-8")
    file.write_text(mutant.source, encoding="utf-8")
    marks = "not slow and not postgres and not influx and not redis and not browser"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", marks, *tests_of(mutant.path)]
    try:
        ended = subprocess.run(command, cwd=copy, env=_environment(copy), capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(kept, encoding="utf-8")
    return ended.returncode != 0


def _environment(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": str(copy / ".numba"), "PYTEST_DEBUG_TEMPROOT": str(copy.parent)}


def copied(to: Path) -> Path:
    """Copy the repository's tracked files; return the copy."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return to


def main() -> int:
    """Run the command line; return 0 when the score is at least 0.9."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of a module's path")
    parser.add_argument("--timeout-s", type=float, default=300.0)
    given = parser.parse_args()
    sample = chosen(count=given.count, seed=given.seed, only=given.only)
    survived: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="bot3-mutants-") as folder:
        copy = copied(Path(folder) / "repository")
        for number, mutant in enumerate(map(mutant_of, sample), 1):
            killed = is_killed(copy, mutant, timeout_s=given.timeout_s)
            if not killed:
                survived.append({"path": mutant.path, "line": mutant.line, "before": mutant.before, "after": mutant.after})
            print(f"{number}/{len(sample)} {'killed' if killed else 'SURVIVED'} {mutant.path}:{mutant.line}", file=sys.stderr, flush=True)  # noqa: T201  # progress of a command
    score = 1.0 - len(survived) / len(sample) if sample else 0.0
    print(json.dumps({"seed": given.seed, "mutants": len(sample), "score": score, "survived": survived}, indent=1))  # noqa: T201  # its result
    return 0 if sample and score >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
