"""Store model files in a directory, named by the sha256 of their content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from bot3.errors import ModelError, file_error_kind
from bot3.file_replacement import replace_file

_REMEDY = "restore the file, or train it again: materialize its week of feeder_models in Dagster"


class FileModels:
    """Stores model texts in files (`ModelStore`).

    Parameters
    ----------
    directory : Path
        Created on the first write.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, text: bytes) -> str:
        """Store a text and return its sha256; the file is written as a whole or not at all, and is on disk when this returns.

        Raises
        ------
        StoreError
            If the file cannot be written; StoreFullError if the disk is full.
        """
        digest = hashlib.sha256(text).hexdigest()
        path = self.path(digest)
        # An existing file of this name may be damaged: it is written again unless its digest is valid.
        if not (path.exists() and _digest_of(path) == digest):
            _write(path, text)
        return digest

    def read(self, digest: str) -> bytes:
        """Return the text with a sha256. Raises ModelError if the file is missing, cannot be read, or no longer has that sha256."""
        path = self.path(digest)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise ModelError(f"model file {path} is missing; {_REMEDY}") from None
        except OSError as error:
            raise ModelError(f"model file {path} cannot be read ({error.strerror}): give this user read permission") from error
        found = hashlib.sha256(text).hexdigest()
        if found != digest:
            raise ModelError(f"model file {path} was changed or is corrupt: its sha256 is {found}; {_REMEDY}")
        return text

    def path(self, digest: str) -> Path:
        """Return the path of a model file. Raises ModelError if the digest is not a sha256: the path must not leave the directory."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ModelError(f"{digest!r} is not the sha256 of a model file")
        return self._directory / f"{digest}.model"


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # an unreadable file is not valid: it is replaced, or the write raises the error


def _write(path: Path, text: bytes) -> None:
    try:
        replace_file(path, text)
    except OSError as error:
        kind = file_error_kind(error)
        raise kind(f"model file {path} cannot be written ({error.strerror}): free space or fix the directory's permissions") from error
