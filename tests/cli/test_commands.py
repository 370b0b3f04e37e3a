"""The list of commands: what it says is what the commands say of themselves, and it costs no framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from bot3.cli.commands import COMMANDS, command_app
from tests.cli.commands import environment

HEAVY = ("dagster", "lightgbm", "numba", "pandas")
LOOK = f"""
import sys
from bot3.cli.main import main
sys.argv = ["bot3", "--help"]
try:
    main()
except SystemExit as ended:
    assert not ended.code
print(*(name for name in {HEAVY} if name in sys.modules), sep=",", file=sys.stderr)
"""


def first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def test_help_given_any_environment_then_imports_no_framework_and_lists_every_command(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )

    assert (ended.returncode, ended.stderr) == (0, "\n")
    assert [name for name in COMMANDS if f" {name} " not in ended.stdout] == []


def test_commands_given_their_modules_then_each_is_listed_with_what_it_says_of_itself() -> None:
    whole = typer.main.get_command(command_app(COMMANDS))
    said = {name: first_paragraph(command.help) for name, command in whole.commands.items()}  # type: ignore[attr-defined]

    assert said == {name: entry.summary for name, entry in COMMANDS.items()}


@pytest.mark.parametrize("name", ["skipped", "import"])
def test_command_app_given_a_name_then_that_command_can_be_run_and_the_others_are_listed(name: str) -> None:
    made = typer.main.get_command(command_app([name]))

    assert set(made.commands) == set(COMMANDS)  # type: ignore[attr-defined]
    assert made.commands[name].params  # type: ignore[attr-defined]
