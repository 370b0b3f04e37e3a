"""The file of a freqtrade database: open it for reading only, and create no file beside it if no process has it open."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from bot3.errors import StoreBusyError

_HEADER_BYTES = 20
_WAL_VERSIONS = b"\x02\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingFile:
    """A SQLite file in WAL mode that no process has open: it has no write-ahead log with rows, so the file contains all rows.

    To read it, SQLite would create a log and its index and leave them there. It can be read as immutable instead, without locks: a process
    that opens it in the meantime creates a log before the file changes, so the read was consistent if there is no log afterwards.
    """

    path: Path
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the file if no process has it open; None if one has, or if it is not in WAL mode (reading it then creates no file)."""
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if header[18:20] != _WAL_VERSIONS or _is_open(path):
            return None
        return cls(path=path, stamp=_stamp(path))

    def require_unchanged(self) -> None:
        """Raise StoreBusyError if a process opened the file since: what was read may be inconsistent."""
        if _is_open(self.path) or _stamp(self.path) != self.stamp:
            raise StoreBusyError(f"{self.path} was opened by its bot while it was read: run it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """A copy of a SQLite file and of its write-ahead log, for a single read, in a directory that is removed at the end.

    SQLite needs an index file beside a log with rows, and cannot create it in a directory without write permission (a read-only mount). If
    the file were read as immutable, the rows in the log would be missing, which are the newest trades.
    """

    path: Path
    directory: tempfile.TemporaryDirectory[str]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Copy a database that no process has open.

        Raises
        ------
        StoreBusyError
            If the database changed while it was copied.
        """
        files = (path, _log_of(path))
        stamps = [_stamp(file) for file in files]
        directory = tempfile.TemporaryDirectory(prefix="bot3-")
        for file in files:
            shutil.copyfile(file, Path(directory.name) / file.name)
        if _index_of(path).exists() or [_stamp(file) for file in files] != stamps:
            directory.cleanup()
            raise StoreBusyError(f"{path} was opened by its bot while it was read: run it again")
        return cls(path=Path(directory.name) / path.name, directory=directory)


def is_stranded(path: Path) -> bool:
    """Return whether a file has a log with rows that SQLite cannot read: it has no index file, and the directory is not writable."""
    log = _log_of(path)
    return log.exists() and log.stat().st_size > 0 and not _index_of(path).exists() and not os.access(path.parent, os.W_OK)


def read_only_address(path: Path, *, is_immutable: bool) -> str:
    """Return SQLite's URI of a file for reading only."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return f"{address}&immutable=1" if is_immutable else address


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _is_open(path: Path) -> bool:
    """Return whether a process may have a database open: its index file exists, or a log that contains rows."""
    log = _log_of(path)
    return _index_of(path).exists() or (log.exists() and log.stat().st_size > 0)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
