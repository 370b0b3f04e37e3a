"""Back up a store to a directory, and restore it from there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class StoreMoment(Protocol):
    """A snapshot of a store: taken while its writers wait, and valid after they continued."""

    def go_on(self) -> None:
        """Release the lock, so that the store's writers continue; a second call changes nothing."""
        ...

    def copy(self, target: Path) -> None:
        """Write the snapshot into an empty directory. Raises StoreError if the store cannot be read or the copy not be written."""
        ...


class StoreBackup(Protocol):
    """A store, or files that belong together.

    The copy of a database is one state of it, whatever other processes write meanwhile. Several databases and other files are copied one
    after the other.
    """

    @property
    def name(self) -> str:
        """Return the name of the store in a backup."""
        ...

    def hold(self) -> AbstractContextManager[StoreMoment]:
        """Block the writers of the store's one database and take a snapshot of it. Raises StoreBusyError if writers lock it for too long.

        The writers wait until `StoreMoment.go_on` is called: other stores that must be copied as of the same instant are copied before that
        call. The snapshot itself can be copied after it, however long that takes.
        """
        ...

    def copy(self, target: Path) -> None:
        """Write a copy of the store into an empty directory. Raises StoreError if the store cannot be read or the copy not be written."""
        ...

    def is_own(self, source: Path) -> bool:
        """Return whether a directory is what `copy` of this kind of store writes: files of a home, or a dump of a server's database."""
        ...

    def require_empty(self) -> None:
        """Raise StoreError if there is something that a restore would overwrite."""
        ...

    def restore(self, source: Path) -> None:
        """Restore the store from a directory that `copy` wrote. Raises StoreError if it cannot be restored."""
        ...
