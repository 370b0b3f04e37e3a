"""Copies of stores that can be restored."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class StoreMoment(Protocol):
    """A snapshot of a store: taken while its writers wait, and valid after they continued."""

    def go_on(self) -> None:
        """Release the writers; a second call changes nothing."""
        ...

    def copy(self, target: Path) -> None:
        """Write the snapshot into an empty directory. Raises StoreError if it cannot be read or written."""
        ...


class StoreBackup(Protocol):
    """A store, or files that belong together.

    A copy is one state of the store, whatever other processes write meanwhile; a restore restores that state, or nothing.
    """

    @property
    def name(self) -> str:
        """Return the name of the store in a backup."""
        ...

    def hold(self) -> AbstractContextManager[StoreMoment]:
        """Block writers and take a snapshot of the current state. Raises StoreBusyError if they do not release their locks.

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
        """Restore what `copy` wrote. Raises StoreError if it cannot be restored."""
        ...
