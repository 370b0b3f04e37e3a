"""Copies of stores that can be put back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class StoreBackup(Protocol):
    """One store, or files that belong together.

    A copy is one state of the store, whoever writes meanwhile; what is put back is that state, or nothing.
    """

    @property
    def name(self) -> str:
        """Return what names the store in a backup."""
        ...

    def quiet(self) -> AbstractContextManager[None]:
        """Keep writers waiting, so that other stores can be copied as of the same instant. Raises StoreBusyError if they do not let go."""
        ...

    def copy(self, target: Path) -> None:
        """Write the copy into an empty directory. Raises StoreError if it cannot be read or written."""
        ...

    def require_empty(self) -> None:
        """Raise StoreError if there is something that a restore would overwrite."""
        ...

    def restore(self, source: Path) -> None:
        """Put back what `copy` wrote. Raises StoreError if it cannot."""
        ...
