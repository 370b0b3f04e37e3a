"""A freqtrade database's file: how it is opened for reading only, and without a trace where nobody has it open."""

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
    """A database in WAL mode that nobody has open: no log with rows is beside it, so all of it is in the one file.

    SQLite would make a log and its index to read it, and leave them there. It may be read as immutable instead, without locks; whoever
    opens it meanwhile makes a log before the file changes, so looking for one afterwards tells whether what was read is whole.
    """

    path: Path
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return the file if it rests; None if it is open somewhere, or not in WAL mode (those leave no trace anyway)."""
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if header[18:20] != _WAL_VERSIONS or _is_open(path):
            return None
        return cls(path=path, stamp=_stamp(path))

    def require_unchanged(self) -> None:
        """Raise StoreBusyError if somebody opened the file since: what was read may be torn."""
        if _is_open(self.path) or _stamp(self.path) != self.stamp:
            raise StoreBusyError(f"{self.path} was opened by its bot while it was read: run it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """A copy of a database and of its log, for reading once, in a directory that is removed at the end.

    SQLite needs an index beside a log with rows and cannot make it where nothing may be written (a read-only mount). Read as immutable the
    file alone would lack the log's rows, which are the newest trades.
    """

    path: Path
    directory: tempfile.TemporaryDirectory[str]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Copy a database that nobody has open.

        Raises
        ------
        StoreBusyError
            If it changed while it was copied.
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
    """Say whether a database has a log with rows that SQLite cannot read where it is: no index, and no right to make one."""
    log = _log_of(path)
    return log.exists() and log.stat().st_size > 0 and not _index_of(path).exists() and not os.access(path.parent, os.W_OK)


def read_only_address(path: Path, *, is_immutable: bool) -> str:
    """Return SQLite's address of a file for reading only."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return f"{address}&immutable=1" if is_immutable else address


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _is_open(path: Path) -> bool:
    """Say whether somebody may have a database open: its index is there, or a log that holds rows."""
    log = _log_of(path)
    return _index_of(path).exists() or (log.exists() and log.stat().st_size > 0)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
