"""Break the rules on purpose, one change at a time, and count how many changes the tests notice.

    python -m tests.mutation [--count 200] [--seed 1] [--only trading/units learning/pooling] [--timeout-s 120]

Each mutant is one changed operator, constant or condition in a copy of the repository. The test file of the module's name runs on it, then
those of `TESTS` that import the module, then the others, each time in a process forked from one that has imported the libraries. A mutant
is killed when a test fails or does not end in time. Prints JSON: `score` is the share that was killed, `survived` lists the rest.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TESTS: dict[str, tuple[str, ...]] = {
    "bot3/trading/sizing.py": ("tests/trading/test_sizing.py", "tests/trading/test_leverage_bins.py", "tests/trading/test_decide.py"),
    "bot3/trading/exits.py": ("tests/trading/test_exits.py", "tests/trading/test_decide.py", "tests/trading/test_backtest.py"),
    "bot3/trading/costs.py": ("tests/trading/test_costs.py", "tests/trading/test_units.py"),
    "bot3/trading/units.py": ("tests/trading/test_units.py", "tests/trading/test_exits.py"),
    "bot3/trading/figures.py": ("tests/trading/test_figures.py", "tests/trading/test_intervals.py"),
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
    "bot3/adapters/sql": (
        "tests/adapters/sql",
        "tests/ports/test_bot_stores.py",
        "tests/ports/test_control_stores.py",
        "tests/ports/test_gate_records.py",
        "tests/ports/test_latch_stores.py",
        "tests/ports/test_learning_records.py",
        "tests/ports/test_learning_validity.py",
        "tests/ports/test_notice_stores.py",
        "tests/ports/test_outboxes.py",
        "tests/ports/test_trade_readers.py",
        "tests/ports/test_trade_records.py",
        "tests/adapters/test_older_recommendations.py",
    ),
}
"""Modules or folders whose rules are mutated, and the tests that must notice."""
NOT_MUTATED = {"migrations", "tables.py", "__init__.py", "lease.py", "server.py", "server_facts.py"}
"""Declarations (a schema is compared with the migrations as a whole), and files whose tests need a PostgreSQL server."""
LIBRARIES = ("pytest", "numpy", "hypothesis.strategies", "pandas", "numba", "sqlalchemy", "alembic.command", "structlog")
"""Imported once, before the first mutant: they take longer to import than most tests to run."""
_WAITS = 20.0
"""Wall seconds that are waited for a second of CPU time, on a machine with other work."""
_MARKS = "not slow and not postgres and not influx and not redis and not browser"
FOR_SPEED = {"_expect", "_soon"}
"""Functions that load memory ahead: no result depends on them."""
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


def places(root: Path, path: str) -> list[Place]:
    """Return every place of a file that can be changed, apart from annotations, docstrings and the texts of errors."""
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) for part in _unnoticed(node) for inner in ast.walk(part)}
    return [Place(path, number) for number, node in enumerate(ast.walk(tree)) if id(node) not in skipped and _change_of(node) is not None]


def mutant_of(root: Path, place: Place) -> Mutant:
    """Return the mutant of a place."""
    tree = ast.parse((root / place.path).read_text(encoding="utf-8"))
    node: Any = next(node for number, node in enumerate(ast.walk(tree)) if number == place.number)
    before, line, change = ast.unparse(node), int(node.lineno), _change_of(node)
    assert change is not None  # `places` lists nodes with a change only
    for name, value in change.items():
        setattr(node, name, value)
    ast.fix_missing_locations(tree)
    after = ast.unparse(node)
    return Mutant(path=place.path, line=line, before=_shown(before), after=_shown(after), source=ast.unparse(tree))


def _shown(code: str) -> str:
    return code.partition("\n")[0]


def _unnoticed(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node whose change no test can notice: they declare, describe, or guard against faults that do not exist."""
    parts = [getattr(node, name, None) for name in ("annotation", "returns")]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        parts.append(node)
    if isinstance(node, ast.FunctionDef) and node.name in FOR_SPEED:
        return [node]
    if isinstance(node, ast.Raise):
        parts.append(node.exc)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        parts.extend(node.decorator_list)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
        parts.extend(keyword.value for keyword in node.keywords)
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


def chosen(root: Path, *, count: int, seed: int, only: Sequence[str]) -> list[Place]:
    """Return a seeded sample of places, the same number of each module as far as there are enough."""
    chance = random.Random(seed)  # noqa: S311  # a sample, no secret
    pools = []
    for module in TESTS:
        files = sorted((root / module).rglob("*.py")) if (root / module).is_dir() else [root / module]
        mutable = [file for file in files if not {*file.parts, file.name} & NOT_MUTATED]
        paths = [str(file.relative_to(root)) for file in mutable]
        found = [place for path in paths if not only or any(part in path for part in only) for place in places(root, path)]
        chance.shuffle(found)
        pools.append(found)
    taken: list[Place] = []
    while len(taken) < count and any(pools):
        taken.extend(pool.pop() for pool in pools if pool)
    return taken[:count]


def stages_of(copy: Path, path: str) -> list[tuple[str, ...]]:
    """Return the test files that must notice a change of a file: the one of its name, those that import it, the others."""
    named = next(tests for place, tests in TESTS.items() if path.startswith(place))
    files = [file for name in named for file in ([copy / name] if name.endswith(".py") else sorted((copy / name).rglob("test_*.py")))]
    own = copy / Path("tests", *Path(path).parts[1:-1], f"test_{Path(path).name}")
    module = path.removesuffix(".py").replace("/", ".")
    importers = [file for file in files if file != own and module in file.read_text(encoding="utf-8")]
    rest = [file for file in files if file != own and file not in importers]
    stages = ([own] if own.exists() else [], importers, rest)
    return [tuple(str(file.relative_to(copy)) for file in stage) for stage in stages if stage]


def killers_of(copy: Path, mutant: Mutant, *, number: int, timeout_s: float) -> tuple[str, ...]:
    """Run the tests on a copy that holds a mutant; return the first stage in which one failed or did not end in time, or no tests."""
    file = copy / mutant.path
    kept, times = file.read_text(encoding="utf-8"), file.stat()
    file.write_text(mutant.source, encoding="utf-8")
    # Compiled code is cached by the time and size of its source: each mutant has its own time, and the file its old one afterwards.
    os.utime(file, (number, number))
    try:
        return next((tests for tests in stages_of(copy, mutant.path) if not _passes(copy, tests, timeout_s=timeout_s)), ())
    finally:
        file.write_text(kept, encoding="utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _passes(copy: Path, tests: Sequence[str], *, timeout_s: float) -> bool:
    run = multiprocessing.get_context("fork").Process(target=_run_tests, args=(copy, tests, round(timeout_s)))
    run.start()
    run.join(_WAITS * timeout_s)
    if run.exitcode is None:
        run.kill()
        run.join()
    return run.exitcode == 0


def _run_tests(copy: Path, tests: Sequence[str], cpu_s: int) -> None:
    """Run tests of the copy in a forked process, and exit with pytest's status."""
    import pytest  # noqa: PLC0415  # after the environment is set

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in {"", str(ROOT)})]
    for name in [name for name in sys.modules if name.partition(".")[0] in {"tests", "bot3"}]:
        del sys.modules[name]
    options = ["-q", "-x", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--hypothesis-profile=mutation", "--tb=no", "-m", _MARKS]
    sys.exit(pytest.main([*options, *tests]))


def prepare(copy: Path) -> None:
    """Set the environment of the tests, and import the libraries that they use."""
    os.environ |= {
        "PYTHONPATH": str(copy),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "_hypothesis_pytestplugin",
        "NUMBA_CACHE_DIR": str(copy / ".numba"),
        "PYTEST_DEBUG_TEMPROOT": str(copy.parent),
        "OPENBLAS_NUM_THREADS": "1",
    }
    for name in LIBRARIES:
        importlib.import_module(name)
    from hypothesis import Phase, settings  # noqa: PLC0415  # after the environment is set

    # The first example that fails kills a mutant: no time is spent on a simpler one.
    settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), deadline=None, database=None)


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
    parser.add_argument("--only", nargs="*", default=[], help="parts of paths of files")
    parser.add_argument("--timeout-s", type=float, default=120.0, help="CPU seconds of a run of tests")
    given = parser.parse_args()
    survived: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="bot3-mutants-") as folder:
        copy = copied(Path(folder) / "repository")
        prepare(copy)
        sample = chosen(copy, count=given.count, seed=given.seed, only=given.only)
        sound: set[tuple[str, ...]] = set()
        for number, mutant in enumerate((mutant_of(copy, place) for place in sample), 1):
            killers = killers_of(copy, mutant, number=number, timeout_s=given.timeout_s)
            if killers and killers not in sound and not _passes(copy, killers, timeout_s=given.timeout_s):
                sys.exit(f"{', '.join(killers)} fail without a mutant: repair them first")
            if not killers:
                survived.append({"path": mutant.path, "line": mutant.line, "before": mutant.before, "after": mutant.after})
            sound.add(killers)
            status = "killed" if killers else f"SURVIVED {mutant.before} -> {mutant.after}"
            print(f"{number}/{len(sample)} {mutant.path}:{mutant.line} {status}", file=sys.stderr, flush=True)  # noqa: T201  # progress of a command
    score = 1.0 - len(survived) / len(sample) if sample else 0.0
    print(json.dumps({"seed": given.seed, "mutants": len(sample), "score": score, "survived": survived}, indent=1))  # noqa: T201  # its result
    return 0 if sample and score >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
