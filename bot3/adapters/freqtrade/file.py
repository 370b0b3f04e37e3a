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
    """A database in WAL mode that no process has open: no log with rows is beside it, so the one file contains all rows.

    To read it, SQLite would create a log and its index and leave them there. It can be read as immutable instead, without locks; a process
    that opens it meanwhile creates a log before the file changes, so checking for a log afterwards shows whether the read was consistent.
    """

    path: Path
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the file if it is at rest; None if a process has it open, or it is not in WAL mode (reading then creates no file)."""
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
    """A copy of a database and of its log, for a single read, in a directory that is removed at the end.

    SQLite needs an index beside a log with rows and cannot create it in a directory without write permission (a read-only mount). Read as
    immutable, the file without its log would lack the log's rows, which are the newest trades.
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
    """Return whether a database has a log with rows that SQLite cannot read in its directory: no index, and no permission to create one."""
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
    """Return whether a process may have a database open: its index exists, or a log that contains rows."""
    log = _log_of(path)
    return _index_of(path).exists() or (log.exists() and log.stat().st_size > 0)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
