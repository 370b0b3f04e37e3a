"""Track the file of a SQLite store: detect that it was deleted or replaced while it is open, and rename a damaged one."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from bot3.errors import StoreError

_BESIDE = ("-wal", "-shm")


class StoreFile:
    """Identifies the file that is open: a file that is deleted while it is open accepts writes, but no other process can read them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, int] | None = None

    def remember(self) -> None:
        """Remember the file that is at the path now as the opened one."""
        self._opened = self._found()

    def forget(self) -> None:
        """Forget the opened file: none is open now."""
        self._opened = None

    def distrust(self) -> None:
        """Treat the opened file as replaced, so that the file at the path is opened again before its next use."""
        self._opened = (0, 0)

    @property
    def is_same(self) -> bool:
        """Return whether the opened file is still at its path; True while no file is open."""
        return self._opened is None or self._found() == self._opened

    @property
    def is_there(self) -> bool:
        """Return whether the file exists."""
        return self._found() is not None

    def set_aside(self) -> Path | None:
        """Rename the opened file and its -wal and -shm files; return the new path, or None if the opened file is no longer at its path.

        Raises
        ------
        StoreError
            If a file cannot be renamed.
        """
        try:
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):
                if not self.is_same or not self.is_there:
                    return None
                aside = self._free_name()
                for suffix in ("", *_BESIDE):
                    source = self.path.with_name(self.path.name + suffix)
                    if source.exists():
                        source.rename(aside.with_name(aside.name + suffix))
                return aside
        except OSError as error:
            raise StoreError(f"{self.path} is damaged and cannot be renamed ({error.strerror}): rename it by hand") from error

    def _free_name(self) -> Path:
        numbers = (number for number in range(1, 10_000))
        return next(path for path in (self.path.with_name(f"{self.path.name}.damaged-{number}") for number in numbers) if not path.exists())

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
