from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bot3.adapters.files.models import FileModels
from bot3.errors import ModelError, StoreError

TEXT = b'{"format": 1}\ntree of a feeder'


def test_put_given_a_text_then_reads_the_same_under_its_sha256(tmp_path: Path) -> None:
    models = FileModels(tmp_path / "models")

    digest = models.put(TEXT)

    assert digest == hashlib.sha256(TEXT).hexdigest() == models.put(TEXT)
    assert models.read(digest) == TEXT
    assert [path.name for path in (tmp_path / "models").iterdir()] == [f"{digest}.model"]


@pytest.mark.parametrize("position", [0, 5, len(TEXT) - 1])
def test_read_given_a_flipped_byte_then_refuses_and_names_file_and_remedy(tmp_path: Path, position: int) -> None:
    models = FileModels(tmp_path)
    digest = models.put(TEXT)
    changed = bytearray(TEXT)
    changed[position] ^= 1
    models.path(digest).write_bytes(changed)

    with pytest.raises(ModelError, match=rf"{digest}\.model was changed or is corrupt.*restore the file"):
        models.read(digest)


@pytest.mark.parametrize("kept", [0, 1, len(TEXT) - 1])
def test_read_given_a_cut_file_then_refuses(tmp_path: Path, kept: int) -> None:
    models = FileModels(tmp_path)
    digest = models.put(TEXT)
    models.path(digest).write_bytes(TEXT[:kept])

    with pytest.raises(ModelError, match="corrupt"):
        models.read(digest)


def test_read_given_a_missing_file_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        FileModels(tmp_path).read("0" * 64)


def test_read_given_a_name_that_leads_elsewhere_then_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not the sha256"):
        FileModels(tmp_path / "models").read("../secret")


def test_put_given_a_damaged_file_of_that_name_then_mends_it(tmp_path: Path) -> None:
    models = FileModels(tmp_path)
    digest = models.put(TEXT)
    models.path(digest).write_bytes(b"cut")

    assert models.read(models.put(TEXT)) == TEXT


def test_put_given_a_directory_that_cannot_be_made_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file stands here")

    with pytest.raises(StoreError, match="cannot be written"):
        FileModels(tmp_path / "models").put(TEXT)
