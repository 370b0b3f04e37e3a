"""Backups of what lies in a home: SQLite databases by their online backup, other files as they are."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot3.errors import StoreBusyError, StoreError

_DATABASES = {".sqlite", ".db"}
_BUSY_TIMEOUT_S = 5.0
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeBackup:
    """A `StoreBackup` of files and directories of a home.

    Parameters
    ----------
    name : str
        Names it in a backup.
    home : Path
        Where it lies.
    needed, wanted : tuple of str
        Relative paths; those that are only wanted may be absent.
    """

    name: str
    home: Path
    needed: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold the write lock of the first database."""
        path = self.home / self.needed[0]
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                finally:
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise StoreBusyError(f"{path} is locked by another process ({error}): wait and retry") from error

    def copy(self, target: Path) -> None:
        """Copy databases as one state each, other files as they are."""
        for part in (*self.needed, *self.wanted):
            path = self.home / part
            if not path.exists():
                if part in self.needed:
                    raise StoreError(f"{path} is missing: run `bot3 doctor`")
                continue
            for file in _files(path):
                _copy(file, target / file.relative_to(self.home))

    def require_empty(self) -> None:
        """Raise StoreError if one of its paths is there."""
        there = [part for part in (*self.needed, *self.wanted) if (self.home / part).exists()]
        if there:
            raise StoreError(f"{self.home / there[0]} exists, nothing was restored: set BOT3_HOME to a directory that is empty")

    def restore(self, source: Path) -> None:
        """Copy everything back."""
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            path = self.home / file.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, path)


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or all of a directory that are no temporary ones."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_BESIDE):
            yield file


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix not in _DATABASES:
        shutil.copy2(file, target)
        return
    try:
        with closing(sqlite3.connect(file, timeout=_BUSY_TIMEOUT_S)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            # One file, whole in itself.
            copy.execute("PRAGMA journal_mode = DELETE")
            found = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be copied ({error}): run `bot3 doctor`") from error
    if found != "ok":
        raise StoreError(f"{file} is damaged ({found}): restore an older backup")
