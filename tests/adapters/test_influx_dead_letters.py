"""Dead letters survive the process that wrote them, and are never half there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.adapters.influx_dead_letters import DeadLetter, DeadLetters
from bot3.errors import StoreError


def a_letter(number: int) -> DeadLetter:
    return DeadLetter(bucket="b", rows=(f'm t="a\nb" {number}',), heads=("h x=1 7",), since=number, reason="conflict")


def test_read_given_no_file_then_there_are_no_letters(tmp_path: Path) -> None:
    assert DeadLetters(tmp_path / "letters.jsonl").read() == ()


def test_read_given_appended_letters_then_returns_them_oldest_first(tmp_path: Path) -> None:
    DeadLetters(tmp_path / "new" / "letters.jsonl").append([a_letter(1)])
    DeadLetters(tmp_path / "new" / "letters.jsonl").append([a_letter(2)])

    assert DeadLetters(tmp_path / "new" / "letters.jsonl").read() == (a_letter(1), a_letter(2))


def test_replace_given_none_then_the_file_is_gone(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters.jsonl")
    letters.append([a_letter(1), a_letter(2)])

    letters.replace([a_letter(2)])
    assert letters.read() == (a_letter(2),)
    letters.replace([])

    assert list(tmp_path.iterdir()) == []


def test_read_given_a_damaged_line_then_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").write_text('{"bucket": "b"}\n')

    with pytest.raises(StoreError, match=r"letters\.jsonl holds what is no dead letter"):
        DeadLetters(tmp_path / "letters.jsonl").read()
