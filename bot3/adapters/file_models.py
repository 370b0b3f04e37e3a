"""Model files in a directory, named by the sha256 of what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from bot3.errors import ModelError, file_error_kind

_REMEDY = "restore the file, or train it anew: materialize its week of feeder_models in Dagster"


class FileModels:
    """Keeps model texts in files (`ModelStore`).

    Parameters
    ----------
    directory : Path
        Made when something is first put.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, text: bytes) -> str:
        """Keep a text and return its sha256; the file appears whole or not at all, and is on disk when this returns.

        Raises
        ------
        StoreFullError, StoreError
            If it cannot be written.
        """
        digest = hashlib.sha256(text).hexdigest()
        path = self.path(digest)
        # What is there under this name may be damaged: it is written again unless it is sound.
        if not (path.exists() and _digest_of(path) == digest):
            _write(path, text)
        return digest

    def read(self, digest: str) -> bytes:
        """Return the text. Raises ModelError if it is missing or was changed; nothing of it is parsed before."""
        path = self.path(digest)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise ModelError(f"model file {path} is missing; {_REMEDY}") from None
        except OSError as error:
            raise ModelError(f"model file {path} cannot be read ({error.strerror}): give this user the right to read it") from error
        found = hashlib.sha256(text).hexdigest()
        if found != digest:
            raise ModelError(f"model file {path} was changed or is corrupt: its sha256 is {found}; {_REMEDY}")
        return text

    def path(self, digest: str) -> Path:
        """Return where a model lies. Raises ModelError for what is no sha256: it must not lead out of the directory."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ModelError(f"{digest!r} is no sha256 of a model file")
        return self._directory / f"{digest}.model"


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # unreadable is not sound: it will be replaced, or the error comes from writing


def _write(path: Path, text: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".model.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        kind = file_error_kind(error)
        raise kind(f"model file {path} cannot be written ({error.strerror}): free space or mend the directory's rights") from error
