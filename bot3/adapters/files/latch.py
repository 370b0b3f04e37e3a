"""Store a bot's latch (trading state and the equity values that losses are measured from) in a file, which needs no database."""

from __future__ import annotations

import json
from pathlib import Path

from bot3.errors import StoreError, file_error_kind
from bot3.file_replacement import replace_file
from bot3.ports.latch_fields import fields_of, latch_of
from bot3.trading.risk import RiskLatch


class FileLatch:
    """A `LatchStore` in a JSON file; each write replaces the whole file and syncs it to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def latch(self) -> RiskLatch | None:
        """Return the latch; None if there is no file. Raises StoreError if the file cannot be read or is invalid."""
        try:
            fields = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{self._path} cannot be read ({type(error).__name__}): the bot's own store is used") from error
        if not isinstance(fields, dict):
            raise StoreError(f"{self._path} contains no latch: the bot's own store is used")
        return latch_of(fields, shown=str(self._path))

    def save_latch(self, latch: RiskLatch) -> None:
        """Write the latch. Raises StoreError if the file cannot be written, StoreFullError if the disk is full."""
        text = json.dumps(fields_of(latch), indent=2).encode()
        try:
            replace_file(self._path, text)
        except OSError as error:
            kind = file_error_kind(error)
            raise kind(
                f"{self._path} cannot be written ({error.strerror}): free space, or give this user write permission in the directory"
            ) from error
