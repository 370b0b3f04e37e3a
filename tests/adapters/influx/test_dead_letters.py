"""Dead letters survive the process that wrote them, and are never half there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot3.adapters.influx.dead_letters import DeadLetter, DeadLetters, Tombstone
from bot3.errors import StoreError


def a_letter(number: int) -> DeadLetter:
    return DeadLetter(bucket="b", rows=(f'm t="a\nb" {number}',), heads=("h x=1 7",), since=number, reason="conflict")


def test_read_given_no_file_then_there_are_no_letters(tmp_path: Path) -> None:
    assert DeadLetters(tmp_path / "letters.jsonl").read() == ()


def test_read_given_appended_letters_then_returns_them_oldest_first(tmp_path: Path) -> None:
    DeadLetters(tmp_path / "new" / "letters.jsonl").append([a_letter(1)])
    DeadLetters(tmp_path / "new" / "letters.jsonl").append([a_letter(2)])

    assert DeadLetters(tmp_path / "new" / "letters.jsonl").read() == (a_letter(1), a_letter(2))


def test_append_given_points_that_are_kept_already_then_keeps_them_once(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters.jsonl")
    letters.append([a_letter(1)])

    letters.append([replace(a_letter(1), since=0, reason="conflict again"), a_letter(2)])

    assert letters.read() == (a_letter(1), a_letter(2))


def test_append_given_a_damaged_file_then_keeps_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_text('{"bucket": "b"}\n')

    DeadLetters(path).append([a_letter(1)])

    assert '"conflict"' in path.read_text()


def test_replace_given_none_then_the_file_is_gone(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters.jsonl")
    letters.append([a_letter(1), a_letter(2)])

    letters.replace([a_letter(2)])
    assert letters.read() == (a_letter(2),)
    letters.replace([])

    assert list(tmp_path.iterdir()) == []


def test_read_given_tombstones_and_letters_of_an_older_release_then_returns_both(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_text('{"bucket": "b", "rows": ["m x=1 7"], "heads": [], "since": 3, "reason": "conflict"}\n')
    gone = DeadLetter(bucket="b", gone=(Tombstone(measurement="trades", tags={"pair": "X"}, at_ns=7),), since=4, reason="refused")

    DeadLetters(path).append([gone])

    assert DeadLetters(path).read() == (DeadLetter(bucket="b", rows=("m x=1 7",), since=3, reason="conflict"), gone)


def test_read_given_a_damaged_line_then_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").write_text('{"bucket": "b"}\n')

    with pytest.raises(StoreError, match=r"letters\.jsonl contains an invalid dead letter"):
        DeadLetters(tmp_path / "letters.jsonl").read()


def test_append_given_a_directory_that_cannot_be_made_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "influx").write_text("a file")

    with pytest.raises(StoreError, match=r"letters\.jsonl cannot be written"):
        DeadLetters(tmp_path / "influx" / "letters.jsonl").append([a_letter(1)])


def test_replace_given_a_directory_in_its_way_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").mkdir()

    with pytest.raises(StoreError, match=r"letters\.jsonl cannot be written"):
        DeadLetters(tmp_path / "letters.jsonl").replace([a_letter(1)])


@pytest.mark.parametrize("kept", [0, 1])
def test_read_given_a_last_line_that_was_cut_off_then_leaves_it_out_and_appends_after_the_others(tmp_path: Path, kept: int) -> None:
    letters = DeadLetters(tmp_path / "letters.jsonl")
    letters.append([a_letter(number) for number in range(kept + 1)])
    whole = (tmp_path / "letters.jsonl").read_bytes()
    (tmp_path / "letters.jsonl").write_bytes(whole[:-9])

    before = letters.read()
    letters.append([a_letter(7)])

    assert before == tuple(map(a_letter, range(kept)))
    assert letters.read() == (*before, a_letter(7))
