"""Store dead letters in a file: points that the server rejected permanently, until they are written again successfully."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bot3.errors import StoreError, file_error_kind
from bot3.file_replacement import replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A point that must be deleted: its measurement, its tags as stored, and its time in nanoseconds since 1970."""

    measurement: str
    tags: dict[str, str]
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Points that the server rejected, and the reason.

    They are `rows`, `heads` (written after the rows), or points to delete (`gone`). A letter without points reports a trade or publication
    that no point can represent, as with an infinite number; its reason names it. `since` is a revision of the record: the contents of the
    letter were written to the record after it.
    """

    bucket: str
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    since: int
    reason: str
    gone: tuple[Tombstone, ...] = ()

    @property
    def size(self) -> int:
        """Return the number of points in the letter."""
        return len(self.rows) + len(self.heads) + len(self.gone)


class DeadLetters:
    """A file of dead letters, one JSON object per line.

    A last line without a line end was truncated, as by a full disk or because the process was killed, and is ignored. Its content is
    published again, because the record's pending writes are confirmed only after their dead letters were written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: set[str] = set()
        self._held_as: tuple[int, int, int] | None = None

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Append those letters whose points are not stored yet; they are on disk when this returns.

        The same points are rejected again whenever the record is published again, so their letters would accumulate otherwise.

        Raises
        ------
        StoreError
            If the letters cannot be written; StoreFullError if the disk is full.
        """
        if not letters:
            return
        held = self._contents()
        fresh = {content: letter for letter in letters if (content := _content(asdict(letter))) not in held}
        if not fresh:
            return
        text = "".join(json.dumps(asdict(letter)) + "\n" for letter in fresh.values()).encode()
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                _cut_off_part(file)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        held.update(fresh)
        self._held_as = self._signature()

    def read(self) -> tuple[DeadLetter, ...]:
        """Return all letters, oldest first; none if there is no file.

        Raises
        ------
        StoreError
            If the file cannot be read, or contains an invalid letter.
        """
        if not self._path.exists():
            return ()
        try:
            return tuple(_letter(json.loads(line)) for line in self._lines())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._path} contains an invalid dead letter ({error}): fix the line, or move the file elsewhere") from error

    def _contents(self) -> set[str]:
        """Return the contents of the stored letters, read again if the file changed; an empty set if a line cannot be parsed."""
        if self._held_as != self._signature():
            self._held = set()
            with suppress(OSError, ValueError, AttributeError):
                self._held = {_content(json.loads(line)) for line in self._lines()}
            self._held_as = self._signature()
        return self._held

    def _lines(self) -> list[str]:
        text = self._path.read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()

    def _signature(self) -> tuple[int, int, int] | None:
        """Return a value that changes when the file is replaced or grows; None if there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def replace(self, letters: Sequence[DeadLetter]) -> None:
        """Replace the file's content by these letters; delete the file if there are none. Raises StoreError if it cannot be written."""
        with _writing(self._path):
            if not letters:
                self._path.unlink(missing_ok=True)
                return
            with replacing(self._path) as fresh:
                DeadLetters(fresh).append(letters)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = file_error_kind(error)
        raise kind(
            f"{path} cannot be written ({error.strerror}): free space, or give this user write permission in the directory"
        ) from error


def _cut_off_part(file: BinaryIO) -> None:
    """Remove a last line that lacks its line end."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _content(said: dict[str, Any]) -> str:
    """Return a text that is equal for letters with the same bucket and points; without points, for those with the same reason."""
    points = {name: said.get(name) or () for name in ("rows", "heads", "gone")}
    return json.dumps([said.get("bucket"), points, None if any(points.values()) else said.get("reason")], sort_keys=True)


def _letter(said: dict[str, Any]) -> DeadLetter:
    gone = tuple(Tombstone(**one) for one in said.get("gone", ()))
    return DeadLetter(**said | {"rows": tuple(said["rows"]), "heads": tuple(said["heads"]), "gone": gone})
