from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot3.file_replacement import replace_file, replacing


def replace_by_half(path: Path) -> None:
    with replacing(path) as fresh:
        fresh.write_bytes(b"ne")
        raise ValueError("only half of it")


@pytest.mark.parametrize("before", [None, b"old"])
def test_replace_file_given_a_content_then_the_file_has_it_and_no_other_file_is_left(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "home" / "note.json"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)

    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_replacing_given_an_error_in_the_block_then_the_file_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_bytes(b"old")

    with pytest.raises(ValueError, match="half"):
        replace_by_half(path)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_given_a_reader_then_it_finds_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_bytes(b"old")

    with replacing(path) as fresh:
        fresh.write_bytes(b"new")
        during = path.read_bytes()

    assert (during, path.read_bytes()) == (b"old", b"new")


def test_replace_file_given_a_file_in_place_of_the_directory_then_raises_os_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")

    with pytest.raises(OSError, match="home"):
        replace_file(tmp_path / "home" / "note.json", b"new")
