"""Foreign texts in tables and messages of commands."""

from __future__ import annotations

import io

import pytest

from bot3.cli.output import PlainConsole
from tests.usecases.test_foreign_text import ODD


def printed(*values: object) -> str:
    file = io.StringIO()
    PlainConsole(file=file, width=200, force_terminal=True, markup=False, emoji=False, highlight=False).print(*values)
    return file.getvalue()


@pytest.mark.parametrize("text", [*ODD, ":smile:", "[/nothing]"])
def test_console_given_markup_then_prints_it_as_it_is(text: str) -> None:
    assert printed(text) == f"{text}\n"


def test_console_given_escape_sequences_then_writes_them_out() -> None:
    assert printed("\x1b[2J\x1b[31mHACK\x07") == "\\x1b[2J\\x1b[31mHACK\\x07\n"
