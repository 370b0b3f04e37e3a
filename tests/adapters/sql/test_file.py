"""The file of a store while it is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.adapters.sql.file import StoreFile


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    path = tmp_path / "control.sqlite"
    path.write_text("first")
    return StoreFile(path)


def test_is_same_given_the_opened_file_then_until_it_is_replaced_or_deleted(file: StoreFile) -> None:
    before = file.is_same
    file.remember()
    opened = file.is_same

    other = file.path.with_name("other")
    other.write_text("second")
    other.replace(file.path)
    replaced, there = file.is_same, file.is_there
    file.remember()
    remembered = file.is_same
    file.path.unlink()

    assert (before, opened, replaced, there, remembered) == (True, True, False, True, True)
    assert (file.is_same, file.is_there) == (False, False)


def test_is_same_given_it_was_distrusted_or_forgotten_then_is_not_or_is(file: StoreFile) -> None:
    file.remember()
    file.distrust()
    distrusted = file.is_same
    file.forget()

    assert (distrusted, file.is_same) == (False, True)


def test_set_aside_given_side_files_then_renames_all_under_the_first_free_name(file: StoreFile) -> None:
    folder = file.path.parent
    (folder / "control.sqlite-wal").write_text("wal")
    (folder / "control.sqlite.damaged-1").write_text("earlier")
    file.remember()

    aside = file.set_aside()

    assert aside == folder / "control.sqlite.damaged-2"
    assert aside.read_text() == "first"
    assert (folder / "control.sqlite.damaged-2-wal").read_text() == "wal"
    assert not file.is_there


def test_set_aside_given_another_process_was_earlier_then_renames_nothing(file: StoreFile) -> None:
    file.remember()
    file.path.unlink()
    gone = file.set_aside()
    file.path.write_text("new")

    assert (gone, file.set_aside()) == (None, None)
    assert file.path.read_text() == "new"
