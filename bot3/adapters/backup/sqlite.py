"""Back up the files of a home: SQLite databases with SQLite's online backup, other files as plain copies."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot3.errors import StoreBusyError, StoreError
from bot3.file_replacement import replacing

_DATABASES = {".sqlite", ".db"}
_BUSY_TIMEOUT_S = 5.0
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeBackup:
    """A `StoreBackup` of files and directories of a home.

    Parameters
    ----------
    name : str
        Name of the store in a backup.
    home : Path
        Directory that contains the files.
    needed, wanted : tuple of str
        Files and directories, relative to the home. `copy` fails if one of `needed` is missing, and skips missing ones of `wanted`.
    """

    name: str
    home: Path
    needed: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()

    @contextmanager
    def hold(self) -> Iterator[HomeMoment]:
        """Take the write lock of the one database in `needed`, and begin a read transaction whose snapshot does not change afterwards.

        Raises StoreBusyError if another process has locked the database for too long, StoreError if it cannot be read.
        """
        (part,) = self.needed
        path = self.home / part
        with closing(_connected(path)) as lock, closing(_connected(path)) as reader:
            try:
                lock.execute("BEGIN IMMEDIATE")
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_master")
            except sqlite3.OperationalError as error:
                raise StoreBusyError(f"{path} is locked by another process ({error}): wait and retry") from error
            except sqlite3.Error as error:
                raise StoreError(f"{path} cannot be read ({error}): run `bot3 doctor`") from error
            yield HomeMoment(path=path, part=part, lock=lock, reader=reader)

    def copy(self, target: Path) -> None:
        """Copy the files one after the other: each database as one consistent snapshot, other files as plain copies.

        Raises StoreError if a needed file is missing or a file cannot be copied.
        """
        for part in (*self.needed, *self.wanted):
            path = self.home / part
            if not path.exists():
                if part in self.needed:
                    raise StoreError(f"{path} is missing: run `bot3 doctor`")
                continue
            for file in _files(path):
                _copy(file, target / file.relative_to(self.home))

    def is_own(self, source: Path) -> bool:
        """Return whether a directory contains every needed path, and nothing outside the needed and wanted ones."""
        parts = [Path(part) for part in (*self.needed, *self.wanted)]
        found = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        return all((source / part).exists() for part in self.needed) and all(any(map(path.is_relative_to, parts)) for path in found)

    def require_empty(self) -> None:
        """Raise StoreError if one of the paths exists in the home."""
        there = [part for part in (*self.needed, *self.wanted) if (self.home / part).exists()]
        if there:
            raise StoreError(f"{self.home / there[0]} exists, nothing was restored: set BOT3_HOME to an empty directory")

    def restore(self, source: Path) -> None:
        """Copy every file of a backup into the home; an existing file is overwritten.

        Raises StoreError if a file cannot be copied; files copied before it remain in the home.
        """
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            _copy_file(file, self.home / file.relative_to(source))


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeMoment:
    """A `StoreMoment` of one database: in WAL mode a read transaction continues to see its snapshot and blocks no writer."""

    path: Path
    part: str
    lock: sqlite3.Connection
    reader: sqlite3.Connection

    def go_on(self) -> None:
        """Release the write lock; the read transaction remains open."""
        self.lock.rollback()

    def copy(self, target: Path) -> None:
        """Copy the snapshot of the read transaction."""
        _copy_database(self.reader, target / self.part, shown=self.path)


def _connected(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} cannot be opened ({error}): run `bot3 doctor`") from error


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or all files of a directory except hidden ones and SQLite's -wal, -shm and -journal files."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_BESIDE):
            yield file


def _copy(file: Path, target: Path) -> None:
    if file.suffix not in _DATABASES:
        _copy_file(file, target)
        return
    with closing(_connected(file)) as source:
        _copy_database(source, target, shown=file)


def _copy_file(file: Path, target: Path) -> None:
    try:
        with replacing(target) as fresh:
            shutil.copy2(file, fresh)
    except OSError as error:
        raise StoreError(f"{file} cannot be copied to {target} ({error.strerror}): check the disk and the permissions, retry") from error


def _copy_database(source: sqlite3.Connection, target: Path, *, shown: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            # In this mode the copy needs no write-ahead log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            found = copy.execute("PRAGMA quick_check").fetchone()[0]
    except OSError as error:
        raise StoreError(f"{shown} cannot be copied to {target} ({error.strerror}): check the disk and the permissions, retry") from error
    except sqlite3.Error as error:
        raise StoreError(f"{shown} cannot be copied ({error}): run `bot3 doctor`") from error
    if found != "ok":
        raise StoreError(f"{shown} is damaged ({found}): restore an older backup")
