"""The right to trade a bot."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """Law: one process at most holds a bot's lease at any time; it ends with the process, however that ends."""

    def is_held(self) -> bool:
        """Return whether the lease is held now, as the server says; one that was lost is acquired again if it is free.

        Raises
        ------
        AlreadyRunningError
            If another process holds it; the text names that process.
        """
        ...

    def close(self) -> None:
        """Release the lease."""
        ...
