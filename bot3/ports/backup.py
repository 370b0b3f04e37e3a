"""Copies of stores that can be put back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class StoreMoment(Protocol):
    """One state of a store, held while its writers wait, and after they went on."""

    def go_on(self) -> None:
        """Let the writers go on; twice changes nothing."""
        ...

    def copy(self, target: Path) -> None:
        """Write the state that is held into an empty directory. Raises StoreError if it cannot be read or written."""
        ...


class StoreBackup(Protocol):
    """One store, or files that belong together.

    A copy is one state of the store, whoever writes meanwhile; what is put back is that state, or nothing.
    """

    @property
    def name(self) -> str:
        """Return what names the store in a backup."""
        ...

    def hold(self) -> AbstractContextManager[StoreMoment]:
        """Keep writers waiting and hold the state of this instant. Raises StoreBusyError if they do not let go.

        Other stores can be copied as of the same instant before `StoreMoment.go_on`; the store itself after it, however long that takes.
        """
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
