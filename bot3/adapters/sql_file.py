"""The file of a SQLite store: notices that it was deleted or replaced while it is open, and sets a damaged one aside."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from bot3.errors import StoreError

_BESIDE = ("-wal", "-shm")


class StoreFile:
    """Remembers which file was opened: a deleted one can still be written, and nobody else ever reads that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, int] | None = None

    def remember(self) -> None:
        """Note the file that is there now as the one that is open."""
        self._opened = self._found()

    def forget(self) -> None:
        """Note that none is open."""
        self._opened = None

    def distrust(self) -> None:
        """Note that whatever is there has to be opened anew."""
        self._opened = (0, 0)

    @property
    def is_same(self) -> bool:
        """Say whether the file that was opened is still at its path; true as long as none was opened."""
        return self._opened is None or self._found() == self._opened

    @property
    def is_there(self) -> bool:
        """Say whether there is a file."""
        return self._found() is not None

    def set_aside(self) -> Path | None:
        """Move the file that was opened, and what lies beside it, to another name; return that, None if another process did so before.

        Raises
        ------
        StoreError
            If it cannot be moved.
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
            raise StoreError(f"{self.path} is damaged and cannot be moved away ({error.strerror}): move it by hand") from error

    def _free_name(self) -> Path:
        numbers = (number for number in range(1, 10_000))
        return next(path for path in (self.path.with_name(f"{self.path.name}.damaged-{number}") for number in numbers) if not path.exists())

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
