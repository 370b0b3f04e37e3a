"""Dead letters: points that the server refused for good, kept in a file until somebody has mended the cause."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot3.errors import StoreError


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
    """A file of letters, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; they are on the disk when this returns."""
        if not letters:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(letter)) + "\n" for letter in letters)
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
            lines = self._path.read_text(encoding="utf-8").splitlines()
            return tuple(_letter(json.loads(text)) for text in lines)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._path} holds what is no dead letter ({error}): mend the line, or move the file away") from error

    def replace(self, letters: Sequence[DeadLetter]) -> None:
        """Keep these letters alone."""
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        if letters:
            DeadLetters(fresh).append(letters)
            fresh.replace(self._path)
        else:
            self._path.unlink(missing_ok=True)


def _letter(said: dict[str, Any]) -> DeadLetter:
    gone = tuple(Tombstone(**one) for one in said.get("gone", ()))
    return DeadLetter(**said | {"rows": tuple(said["rows"]), "heads": tuple(said["heads"]), "gone": gone})
