"""Check rules of the source code that ruff does not have: `python -m tests.source_rules` prints each violation and exits with 1.

- Only the files of `READERS` read the wall clock or random numbers, or create identities; all other code receives them as arguments.
- An import inside a function states its reason: `# noqa: PLC0415  # reason`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNNING = ("bot3", "bot3_assets", "dashboard", "deploy", "execution", "telegram_bot")
"""The code that runs in production."""
ALL = (*RUNNING, "benchmarks", "tests")
READERS: Mapping[str, str] = {
    "bot3/adapters/clocks/system.py": "the clock that all others receive",
    "bot3/adapters/freqtrade/database.py": "a name for one opening of a database, unique among processes",
    "bot3/adapters/simulated/price_process.py": "the simulated market: its seed determines every draw",
    "bot3/adapters/sql/bot/store.py": "the identity of a new store",
    "bot3/adapters/sql/engine.py": "a name for one opening of a database, unique among processes",
    "bot3/adapters/sql/lease.py": "a name for one holder of a lease, unique among processes",
    "bot3/adapters/sql/record/record.py": "the identity of a new record, the epoch of a restored one",
    "bot3/cli/up.py": "the supervisor's own process: it counts heartbeats since its start",
    "deploy/freqtrade/BOT3MetaStrategyAdaptive.py": "one file in freqtrade's process, which has no clock to pass",
    "telegram_bot/control.py": "an unpredictable confirmation code; tests pass their own",
}
"""Files that read the time or random numbers, each with its reason."""
FORBIDDEN = (
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "numpy.random",
    "os.urandom",
    "pandas.Timestamp.now",
    "pandas.Timestamp.today",
    "pandas.Timestamp.utcnow",
    "random",
    "secrets.SystemRandom",
    "secrets.choice",
    "secrets.randbelow",
    "secrets.randbits",
    "secrets.token_bytes",
    "secrets.token_hex",
    "secrets.token_urlsafe",
    "time.ctime",
    "time.gmtime",
    "time.localtime",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
)
PARSERS = ("numpy.datetime64", "pandas.Timestamp", "pandas.to_datetime")
"""Functions that return the current time if they are called with "now" or "today"."""
_MODULES = {name.split(".")[0] for name in FORBIDDEN}
_INDENTED_IMPORT = re.compile(r"^[ \t]+(?:import|from) ", flags=re.MULTILINE)
_NOW = ("now", "today")
_HAS_REASON = re.compile(r"# noqa: [A-Z0-9, ]*PLC0415[A-Z0-9, ]*# \S")


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A line that violates a rule."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def main() -> int:
    """Print every violation; return the exit code."""
    found = violations(ROOT)
    for violation in found:
        print(violation)  # noqa: T201
    return 1 if found else 0


def violations(root: Path) -> list[Violation]:
    """Return the lines below a directory that violate a rule, and the files of `READERS` that need not be there."""
    found: list[Violation] = []
    reading = set()
    for path in sorted(path for room in ALL for path in (root / room).rglob("*.py")):
        name, source = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        found += [Violation(name, line, "add a reason: `# noqa: PLC0415  # reason`") for line in unexplained_imports(source)]
        reads = list(nondeterministic_reads(source)) if name.split("/")[0] in RUNNING else []
        if reads:
            reading.add(name)
        if name not in READERS:
            found += [Violation(name, line, f"receive {what} as an argument, or add the file to READERS") for line, what in reads]
    found += [Violation(name, 1, "remove it from READERS: it reads neither") for name in READERS if name not in reading]
    return sorted(found)


def unexplained_imports(source: str) -> Iterator[int]:
    """Yield the lines of imports inside functions without a reason."""
    if _INDENTED_IMPORT.search(source) is None:  # parsing takes most of the time, and most files have none
        return
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    imports = {node.lineno for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)}
    yield from (line for line in sorted(imports) if not _HAS_REASON.search(lines[line - 1]))


def nondeterministic_reads(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of each read of the wall clock, of random numbers and of new identities."""
    tree = ast.parse(source)
    names = _imported_names(tree)
    if not any(name.split(".")[0] in _MODULES for full in names.values() for name in full):
        return
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            found = (full for full in _full_names(node, names) if any(full == name or full.startswith(f"{name}.") for name in FORBIDDEN))
            yield from ((node.lineno, full) for full in sorted(found))
        if isinstance(node, ast.Call) and any(isinstance(argument, ast.Constant) and argument.value in _NOW for argument in node.args):
            yield from ((node.lineno, full) for full in sorted(_full_names(node.func, names) & set(PARSERS)))


def _imported_names(tree: ast.AST) -> dict[str, set[str]]:
    """Return the full names of each imported name; "time" has two if functions of a file import the module and its function."""
    names: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names.setdefault(alias.asname or top, set()).add(alias.name if alias.asname else top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names.setdefault(alias.asname or alias.name, set()).add(f"{node.module}.{alias.name}")
    return names


def _full_names(node: ast.expr, names: Mapping[str, set[str]]) -> set[str]:
    """Return the full dotted names that an imported name or its attribute may have; an empty set for any other expression."""
    if isinstance(node, ast.Attribute):
        return {f"{parent}.{node.attr}" for parent in _full_names(node.value, names)}
    return names.get(node.id, set()) if isinstance(node, ast.Name) else set()


if __name__ == "__main__":
    sys.exit(main())
