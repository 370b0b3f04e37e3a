"""A freqtrade database's file: how it is opened for reading only, and without a trace where nobody has it open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from bot3.errors import StoreBusyError

_HEADER_BYTES = 20
_WAL_VERSIONS = b"\x02\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingFile:
    """A database in WAL mode that nobody has open: there is no log beside it, so all of it is in the one file.

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
        if header[18:20] != _WAL_VERSIONS or _log_of(path).exists():
            return None
        return cls(path=path, stamp=_stamp(path))

    def require_unchanged(self) -> None:
        """Raise StoreBusyError if somebody opened the file since: what was read may be torn."""
        if _log_of(self.path).exists() or _stamp(self.path) != self.stamp:
            raise StoreBusyError(f"{self.path} was opened by its bot while it was read: run it again")


def read_only_address(path: Path, *, is_immutable: bool) -> str:
    """Return SQLite's address of a file for reading only."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return f"{address}&immutable=1" if is_immutable else address


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
