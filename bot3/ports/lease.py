"""The lease of a bot: the exclusive right of one process to trade it."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """Contract: at most one process owns a bot's lease at any time; the lease ends when the process ends, also after a crash."""

    def is_held(self) -> bool:
        """Return whether this process owns the lease now; after a loss, this call or a later one acquires it again if it is free.

        Raises
        ------
        AlreadyRunningError
            If another process owns it; the text names that process.
        """
        ...

    def close(self) -> None:
        """Release the lease."""
        ...
