"""Write docs/glossary.md from the terms of the code.

.venv/bin/python -m benchmarks.glossary
"""

from __future__ import annotations

from benchmarks.rooms import ROOT
from bot3.usecases.terms import TERMS

PAGE = ROOT / "docs" / "glossary.md"

_INTRODUCTION = """# Glossary

The terms that the dashboard, the command and Telegram show. `make docs` writes this page from `bot3/usecases/terms.py`. The same
sentences are the tooltips of the dashboard, the end of the commands' `--help`, and the answer to `/terms NAME` in Telegram.

| term | definition |
|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    return _INTRODUCTION + "".join(f"| {name} | {TERMS[name]} |\n" for name in sorted(TERMS))


def main() -> None:
    """Rewrite docs/glossary.md."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
