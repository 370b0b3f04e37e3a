"""Write the table of packages into ARCHITECTURE.md: files, lines and imports, counted from the code.

.venv/bin/python -m benchmarks.rooms
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- rooms: begin, written by `make docs` -->", "<!-- rooms: end -->"

_DIVIDED = ("bot3.usecases", "bot3.adapters", "bot3.learning")
_HEAD = ("package", "files", "lines, to the next hundred", "imports from")


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file: its dotted name, the number of its lines, and the dotted names that it imports anywhere."""

    name: str
    lines: int
    imports: frozenset[str]


def updated_page(page: str, *, root: Path = ROOT) -> str:
    """Return the page with the table between its two marks replaced by that of the code under a root directory.

    Raises
    ------
    ValueError
        If the page does not contain both marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page must contain the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table(root)}\n{END}{after}"


def table(root: Path) -> str:
    """Return the table as Markdown: a row for each layer's package, and for each folder of the divided packages."""
    packages = layers(root)
    modules = [module for top in sorted({name.partition(".")[0] for name in packages}) for module in modules_of(root, top)]
    rows: list[tuple[str, ...]] = [_HEAD, ("---", "---:", "---:", "---")]
    for package in packages:
        rows.append(_row(f"`{package}`", within(modules, package), package=package, others=packages))
        if package in _DIVIDED:
            folders = folders_of(modules, package)
            rows += [
                _row(f"· `{folder.rpartition('.')[2]}`", within(modules, folder), package=folder, others=folders) for folder in folders
            ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def layers(root: Path) -> list[str]:
    """Return the packages of import-linter's contract of layers, from the highest to the lowest."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    found = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [name.strip() for layer in found for name in layer.split("|")]


def modules_of(root: Path, top: str) -> list[Module]:
    """Return every module of a top-level package, `__init__` files included, sorted by path."""
    return [_module(path, path.relative_to(root)) for path in sorted((root / top).rglob("*.py"))]


def within(modules: Iterable[Module], package: str) -> list[Module]:
    """Return the modules of a package, with those of its subpackages."""
    return [module for module in modules if _is_within(module.name, package)]


def folders_of(modules: Iterable[Module], package: str) -> list[str]:
    """Return the folders and single modules directly in a package, by name."""
    depth = package.count(".") + 2
    names = {".".join(module.name.split(".")[:depth]) for module in within(modules, package) if module.name != package}
    return sorted(names)


def arrows(modules: Iterable[Module], *, package: str, others: Iterable[str]) -> list[str]:
    """Return which of the other packages the modules import, in the order given."""
    imported = {name for module in modules for name in module.imports}
    return [other for other in others if other != package and any(_is_within(name, other) for name in imported)]


def _row(title: str, modules: list[Module], *, package: str, others: list[str]) -> tuple[str, ...]:
    # Hundreds of lines: the table changes when a package grows, not with every edit.
    lines = -(-sum(module.lines for module in modules) // 100) * 100
    names = [other.removeprefix("bot3.").rpartition(".")[2] for other in arrows(modules, package=package, others=others)]
    return title, str(len(modules)), str(lines), ", ".join(names) or "none"


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _module(path: Path, relative: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    return Module(name, len(source.splitlines()), frozenset(_imports(ast.parse(source))))


def _imports(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def main() -> None:
    """Rewrite the table of ARCHITECTURE.md."""
    PAGE.write_text(updated_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
