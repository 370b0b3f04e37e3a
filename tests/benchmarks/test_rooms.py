from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rooms import BEGIN, END, PAGE, updated_page

CONTRACT = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["shop", "bot3.adapters | bot3.settings", "bot3.errors"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(CONTRACT)
    modules = {
        "shop/till.py": "import bot3.errors\nfrom bot3.adapters.files import candles\n",
        "bot3/settings.py": "x = 1\n" * 101,
        "bot3/errors.py": "",
        "bot3/adapters/__init__.py": "",
        "bot3/adapters/ccxt/candles.py": "if True:\n    from bot3.adapters.files.names import path\n",
        "bot3/adapters/files/names.py": "from bot3 import errors\n",
    }
    for name, source in modules.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_architecture_page_given_the_code_then_its_table_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert updated_page(page) == page, "ARCHITECTURE.md differs from the code: run `make docs`"


def test_updated_page_given_a_project_then_names_files_lines_and_imports_by_package(project: Path) -> None:
    page = updated_page(f"above\n{BEGIN}\nold\n{END}\nbelow\n", root=project).splitlines()

    assert page == [
        "above",
        BEGIN,
        "| package | files | lines, to the next hundred | imports from |",
        "| --- | ---: | ---: | --- |",
        "| `shop` | 1 | 100 | adapters, errors |",
        "| `bot3.adapters` | 3 | 100 | errors |",
        "| · `ccxt` | 1 | 100 | files |",
        "| · `files` | 1 | 100 | none |",
        "| `bot3.settings` | 1 | 200 | none |",
        "| `bot3.errors` | 1 | 0 | none |",
        END,
        "below",
    ]


def test_updated_page_given_a_page_without_the_marks_then_refuses(project: Path) -> None:
    with pytest.raises(ValueError, match="must contain"):
        updated_page("no table", root=project)
