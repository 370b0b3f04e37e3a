"""Dead letters: points that the server refused for good, kept in a file until somebody has mended the cause."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bot3.errors import StoreError, StoreFullError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A point that must be deleted: its measurement, its tags as they are stored, and its time."""

    measurement: str
    tags: dict[str, str]
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Rows, the heads that must not be written before them, points to delete, and why they were refused.

    A letter without any of them is about what no point can hold, such as a number that is infinite; its reason names it.
    `since` is the record's revision after which they were written.
    """

    bucket: str
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    since: int
    reason: str
    gone: tuple[Tombstone, ...] = ()

    @property
    def size(self) -> int:
        """Return how many points it keeps."""
        return len(self.rows) + len(self.heads) + len(self.gone)


class DeadLetters:
    """A file of letters, one JSON object a line.

    A last line without its end was cut off by a kill or a full disk. What it was about still waits to be published, for that is forgotten
    after its letter alone: the line is left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; they are on the disk when this returns.

        Raises
        ------
        StoreError
            If they cannot be written; StoreFullError if the disk is full.
        """
        if not letters:
            return
        text = "".join(json.dumps(asdict(letter)) + "\n" for letter in letters).encode()
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                _cut_off_part(file)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

    def read(self) -> tuple[DeadLetter, ...]:
        """Return all letters, oldest first.

        Raises
        ------
        StoreError
            If the file cannot be read, or holds what is no letter.
        """
        if not self._path.exists():
            return ()
        try:
            text = self._path.read_text(encoding="utf-8")
            return tuple(_letter(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._path} holds what is no dead letter ({error}): mend the line, or move the file away") from error

    def replace(self, letters: Sequence[DeadLetter]) -> None:
        """Keep these letters alone. Raises StoreError if the file cannot be written."""
        fresh = self._path.with_suffix(".new")
        with _writing(fresh):
            fresh.unlink(missing_ok=True)
            if letters:
                DeadLetters(fresh).append(letters)
                fresh.replace(self._path)
            else:
                self._path.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreError
        raise kind(f"{path} cannot be written ({error.strerror}): free space, or give this user the directory") from error


def _cut_off_part(file: BinaryIO) -> None:
    """Remove a last line that lacks its end."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _letter(said: dict[str, Any]) -> DeadLetter:
    gone = tuple(Tombstone(**one) for one in said.get("gone", ()))
    return DeadLetter(**said | {"rows": tuple(said["rows"]), "heads": tuple(said["heads"]), "gone": gone})
